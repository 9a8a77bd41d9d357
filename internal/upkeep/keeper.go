package upkeep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Keeper does jobs when they are due.
type Keeper struct {
	o    Options
	wake chan struct{}

	mu      sync.Mutex
	records map[string]record
	running map[string]Job  // by name
	wanted  map[string]bool // by name: to be done now
}

// record is what is kept of a job.
type record struct {
	First   time.Time `json:"first"`         // it was first heard of
	Heard   time.Time `json:"heard"`         // it was last heard of, to the day
	Done    time.Time `json:"done,omitzero"` // the last one that went well was begun
	Tried   time.Time `json:"tried,omitzero"`
	Error   string    `json:"error,omitempty"` // of the last one
	Seconds int64     `json:"seconds,omitempty"`
}

// Times of a Keeper.
const (
	longest     = time.Minute // between two looks: clocks are set, documents change
	shortest    = time.Second // between two times of one job
	retry       = 15 * time.Minute
	rememberFor = 90 * 24 * time.Hour // after a job was heard of last
)

// New makes a Keeper that knows when jobs were done last. A file that cannot
// be read is begun anew: all jobs are new then.
func New(o Options) *Keeper {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ended == nil {
		o.Ended = func(string, error) {}
	}
	k := &Keeper{o: o, wake: make(chan struct{}, 1), records: map[string]record{}, running: map[string]Job{}, wanted: map[string]bool{}}
	text, err := o.Files.ReadFile(o.Path)
	if err == nil {
		err = json.Unmarshal(text, &k.records)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("when upkeep was done last is not known; its times count from now", "file", o.Path, "err", err)
		k.records = map[string]record{}
	}
	if k.records == nil { // the file says null
		k.records = map[string]record{}
	}
	return k
}

// Run does jobs until ctx ends, and waits for those that are running.
func (k *Keeper) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		next := k.begin(ctx, &work)
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-time.After(max(0, min(longest, time.Until(next)))):
		}
	}
}

// Poke has it look anew which jobs there are: the document changed.
func (k *Keeper) Poke() {
	select {
	case k.wake <- struct{}{}:
	default: // it is about to
	}
}

// Now has a job done as soon as others let it.
func (k *Keeper) Now(name string) error {
	if !slices.ContainsFunc(k.o.Source.Jobs(), func(j Job) bool { return j.Name == name }) {
		return fmt.Errorf("upkeep %q: there is no such job", name)
	}
	k.mu.Lock()
	k.wanted[name] = true
	k.mu.Unlock()
	k.Poke()
	return nil
}

// States tells how all jobs are, by name.
func (k *Keeper) States() []State {
	now := time.Now()
	jobs := k.o.Source.Jobs()
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []State
	for _, j := range jobs {
		r, known := k.records[j.Name]
		if !known {
			r.First = now
		}
		_, running := k.running[j.Name]
		all = append(all, State{Name: j.Name, Kind: j.Kind, Running: running, Last: r.Tried, Error: r.Error, Seconds: r.Seconds, Next: r.due(j, now)})
	}
	slices.SortFunc(all, func(a, b State) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// due says when a job is due, the zero time if never.
func (r record) due(j Job, now time.Time) time.Time {
	last := r.First
	if !r.Done.IsZero() {
		last = r.Done
	}
	last = earlier(last, now) // the clock was set back
	next := j.Next(now, last)
	if floor := earlier(r.Tried, now).Add(shortest); !next.IsZero() && next.Before(floor) {
		next = floor
	}
	if !next.IsZero() && r.Error != "" {
		again := earlier(r.Tried, now).Add(cmp.Or(j.Retry, retry))
		if next.Before(again) {
			next = again
		}
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// begin begins the jobs that are due and that may be done beside those that
// are running, and says when the next one is due.
func (k *Keeper) begin(ctx context.Context, work *sync.WaitGroup) time.Time {
	now := time.Now()
	jobs := k.o.Source.Jobs()
	k.mu.Lock()
	defer k.mu.Unlock()
	next := now.Add(longest)
	type waiting struct {
		Job
		since time.Time
	}
	var due []waiting
	changed := false
	for _, j := range jobs {
		r, known := k.records[j.Name]
		if !known {
			r.First = now
		}
		if !known || now.Sub(r.Heard) > 24*time.Hour || r.Heard.After(now) {
			r.Heard, changed = now, true
			k.records[j.Name] = r
		}
		if _, running := k.running[j.Name]; running {
			continue
		}
		switch t := r.due(j, now); {
		case k.wanted[j.Name]:
			due = append(due, waiting{j, time.Time{}})
		case t.IsZero():
		case t.After(now):
			next = earlier(next, t)
		default:
			due = append(due, waiting{j, t})
		}
	}
	for name, r := range k.records {
		if _, running := k.running[name]; now.Sub(r.Heard) > rememberFor && !running {
			delete(k.records, name)
			changed = true
		}
	}
	if changed {
		k.save()
	}
	// Who waits longest is first; what is not begun now is when one of those
	// that are running ends.
	slices.SortStableFunc(due, func(a, b waiting) int { return a.since.Compare(b.since) })
	for _, j := range due {
		if ctx.Err() == nil && k.mayRun(j.Job) {
			delete(k.wanted, j.Name)
			k.running[j.Name] = j.Job
			work.Go(func() { k.do(ctx, j.Job) })
		}
	}
	return next
}

// mayRun says whether a job may be done beside those that are running; locked.
func (k *Keeper) mayRun(j Job) bool {
	for _, r := range k.running {
		if r.Name == j.Name || r.Heavy && j.Heavy || cmp.Or(r.Kind, r.Name) == cmp.Or(j.Kind, j.Name) {
			return false
		}
	}
	return true
}

// do does a job and notes how it went.
func (k *Keeper) do(ctx context.Context, j Job) {
	began := time.Now()
	err := j.Do(ctx)
	cut := ctx.Err() != nil && err != nil
	k.mu.Lock()
	delete(k.running, j.Name)
	if !cut {
		r := k.records[j.Name]
		r.Tried, r.Error, r.Seconds = began, "", int64(time.Since(began).Seconds())
		if err != nil {
			r.Error = err.Error()
		} else {
			r.Done = began
		}
		k.records[j.Name] = r
		k.save()
	}
	k.mu.Unlock()
	if !cut {
		k.o.Ended(j.Name, err)
	}
	k.Poke()
}

// save keeps the records; locked.
func (k *Keeper) save() {
	text, err := json.MarshalIndent(k.records, "", "  ")
	if err == nil {
		err = k.o.Files.Save(k.o.Path, text, 0o600)
	}
	if err != nil {
		k.o.Log.Warn("when upkeep was done is not kept; after a restart it may be done again early", "file", k.o.Path, "err", err)
	}
}
