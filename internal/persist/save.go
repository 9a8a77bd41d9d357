package persist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a generation is to tell of itself, and what bounds it.
type Options struct {
	Reason  string // why it is saved: apply, shutdown, timer, or an administrator's words
	Slot    string // that runs
	Version string // of the image that runs
	Machine string // that runs, as Generation has it

	Keep  int   // generations with settings of their own that are kept; DefaultKeep if 0
	Limit int64 // bytes that the files may have together; DefaultLimit if 0
}

// Defaults of Options.
const (
	DefaultKeep  = 10
	DefaultLimit = 96 << 20 // three of them fit on esos_conf, whatever they hold
)

// Saved is what Save did.
type Saved struct {
	Generation Generation    // that has the settings now
	Unchanged  bool          // it had them before: nothing was written
	Pruned     []int         // generations that made room
	Warnings   []string      // for people
	Took       time.Duration // all of it
}

// Save writes a new generation into dir, a mounted esos_conf, of what upper
// (the overlay's upper directory) holds, unless the one in force holds just
// that. When it returns without an error, a power cut takes nothing of it
// away; with one, the generations before are as they were.
//
// Only one Save may work on a directory at a time.
func Save(ctx context.Context, dir, upper string, o Options) (Saved, error) {
	return save(ctx, medium{}, dir, upper, o)
}

func save(ctx context.Context, d disk, dir, upper string, o Options) (Saved, error) {
	began := time.Now()
	if o.Keep < 1 {
		o.Keep = DefaultKeep
	}
	if o.Limit < 1 {
		o.Limit = DefaultLimit
	}
	w, err := openWriter(d, dir)
	if err != nil {
		return Saved{}, fmt.Errorf("save the settings: %w", err)
	}
	// A medium is written to only if there is something new. What it comes to
	// is kept in no memory: the machine may have little.
	g, warnings, err := pack(ctx, upper, o.Limit, toNobody)
	if err != nil {
		return Saved{}, fmt.Errorf("save the settings: %w", err)
	}
	saved := Saved{Warnings: warnings}
	if same := w.inForce(); same != nil && same.Contents == g.Contents {
		saved.Generation, saved.Unchanged = *same, true
		if err := w.remember(o.Slot, same.Number); err != nil {
			return Saved{}, fmt.Errorf("save the settings: %w", err)
		}
		saved.Took = time.Since(began)
		return saved, nil
	}
	saved.Generation, saved.Pruned, err = w.write(g, func(temp string) (g Generation, err error) {
		g, saved.Warnings, err = pack(ctx, upper, o.Limit, func(write func(io.Writer) error) error { return d.Write(temp, write) })
		g.describe(o)
		return g, err
	})
	saved.Warnings = append(saved.Warnings, w.warnings...)
	if err != nil {
		return Saved{Pruned: saved.Pruned}, fmt.Errorf("save the settings as %s: %w", nameOf(w.next()), err)
	}
	if err := w.remember(o.Slot, saved.Generation.Number); err != nil {
		// What matters is safe; the next save notes it.
		saved.Warnings = append(saved.Warnings, err.Error())
	}
	pruned, err := w.prune(o.Keep)
	saved.Pruned = append(saved.Pruned, pruned...)
	if err != nil {
		// The settings are safe; what could not be removed is next time.
		saved.Warnings = append(saved.Warnings, fmt.Sprintf("older generations could not be removed: %v", err))
	}
	saved.Took = time.Since(began)
	return saved, nil
}

// describe has a generation say what the options say of it.
func (g *Generation) describe(o Options) {
	g.Reason, g.Slot, g.Version, g.Machine = o.Reason, o.Slot, o.Version, o.Machine
	g.Host, _ = os.Hostname() // without one the generation is as good
}

// now is the time as records have it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// writer puts generations on a shelf.
type writer struct {
	shelf
	disk  disk
	slots Slots
	good  map[int]bool // generations whose archive was looked at

	warnings []string // for people
}

// openWriter opens a directory for writing, and clears away what a power cut
// left half done.
func openWriter(d disk, dir string) (*writer, error) {
	if err := d.MkdirAll(filepath.Join(dir, generationsDir)); err != nil {
		return nil, err
	}
	s, err := openShelf(dir)
	if err != nil {
		return nil, err
	}
	for _, where := range []string{dir, filepath.Join(dir, generationsDir)} {
		entries, err := os.ReadDir(where)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), tempPrefix) {
				if err := d.Remove(filepath.Join(where, e.Name())); err != nil {
					return nil, err
				}
			}
		}
	}
	slots, err := readSlots(dir)
	if err != nil {
		slots = nil // it is written anew
	}
	return &writer{shelf: s, disk: d, slots: slots, good: map[int]bool{}}, nil
}

// verified is verify, once for each generation.
func (w *writer) verified(g Generation) bool {
	ok, known := w.good[g.Number]
	if !known {
		ok = w.verify(g) == nil
		w.good[g.Number] = ok
	}
	return ok
}

// inForce is the generation that the next boot would take; nil if there is
// none, or if it is not the one that was put in force last.
func (w *writer) inForce() *Generation {
	if len(w.ordered) == 0 || w.ordered[0].Number != w.current || !w.verified(w.ordered[0]) {
		return nil
	}
	return &w.ordered[0]
}

func (w *writer) next() int {
	n := w.current
	if len(w.numbers) > 0 {
		n = max(n, w.numbers[len(w.numbers)-1])
	}
	return n + 1
}

// write puts a generation on the medium and in force. fill writes its archive
// to a file and says what that is; about is that, as far as it is known before:
// its size. Each step leaves the one before in force until the last rename is
// durable.
func (w *writer) write(about Generation, fill func(temp string) (Generation, error)) (g Generation, pruned []int, err error) {
	dir, number := filepath.Join(w.dir, generationsDir), w.next()
	if pruned, err = w.makeRoom(about.Archive); err != nil {
		return g, pruned, err
	}
	if err = w.file(w.path(number, archiveSuffix), func(temp string) (digest string, err error) {
		g, err = fill(temp)
		return g.SHA256, err
	}); err != nil {
		return g, pruned, err
	}
	g.Number, g.When = number, now()
	// From here on it is too late to turn back: what is begun is ended, in
	// seconds at most.
	if err := w.small(w.path(number, recordSuffix), g); err != nil {
		return g, pruned, errors.Join(err, w.drop(number))
	}
	if err := w.disk.SyncDir(dir); err != nil {
		return g, pruned, errors.Join(err, w.drop(number))
	}
	if err := w.small(filepath.Join(w.dir, currentName), current{number, g.SHA256}); err != nil {
		return g, pruned, errors.Join(err, w.drop(number))
	}
	if err := w.disk.SyncDir(w.dir); err != nil {
		return g, pruned, err
	}
	w.numbers = append(w.numbers, number)
	w.ordered = slices.Insert(w.ordered, 0, g)
	w.current, w.good[number] = number, true
	return g, pruned, nil
}

// small writes a file that carries its own digest.
func (w *writer) small(path string, v any) error {
	text, err := seal(v)
	if err != nil {
		return err
	}
	return w.file(path, func(temp string) (string, error) { return digestOf(text), w.disk.Write(temp, whole(text)) })
}

// file has a file written under another name, sees that the medium has its
// bytes, and gives it its name.
func (w *writer) file(path string, fill func(temp string) (digest string, err error)) error {
	temp := filepath.Join(filepath.Dir(path), tempPrefix+filepath.Base(path))
	digest, err := fill(temp)
	if err == nil {
		var got string
		if got, err = w.disk.Digest(temp); err == nil && got != digest {
			err = errors.New("the medium does not give back what was written to it: it is failing, replace it")
		}
	}
	if err == nil {
		err = w.disk.Rename(temp, path)
	}
	if err != nil {
		_ = w.disk.Remove(temp) // if not now, then by the next Save
	}
	return err
}

// makeRoom removes generations, the oldest first, until there is room for as
// much. The newest good one always stays.
func (w *writer) makeRoom(bytes int64) (pruned []int, err error) {
	const slack = 256 << 10 // directories, the journal, whole blocks
	for {
		free, err := w.disk.Free(w.dir)
		if err != nil {
			return pruned, err
		}
		if free >= bytes+slack {
			return pruned, nil
		}
		number, ok := w.oldest()
		if !ok {
			return pruned, fmt.Errorf("it needs %s and %s are free on the medium (%s), where no older generation is left to remove; is something else there that takes the space? %w",
				human(bytes+slack), human(free), w.dir, unix.ENOSPC)
		}
		for slot, n := range w.slots {
			if n == number {
				w.warnings = append(w.warnings, fmt.Sprintf("the medium is full: %s, which slot %s last ran with, had to make room; should that slot come back by itself, it takes the newest settings", nameOf(number), slot))
			}
		}
		if err := w.drop(number); err != nil {
			return pruned, fmt.Errorf("make room: %w", err)
		}
		pruned = append(pruned, number)
	}
}

// oldest is the first to go when space is short: the oldest that is neither the
// newest good one nor, as long as there is another, a slot's way back.
func (w *writer) oldest() (int, bool) {
	safe := w.safe()
	for _, spare := range []func(int) bool{w.remembered, func(int) bool { return false }} {
		for _, n := range w.numbers {
			if n != safe && !spare(n) {
				return n, true
			}
		}
	}
	return 0, false
}

// safe is the number of the newest good generation, 0 if there is none.
func (w *writer) safe() int {
	for _, g := range w.ordered {
		if w.verified(g) {
			return g.Number
		}
	}
	return 0
}

// drop removes a generation: its record first, since an archive without one is
// nothing.
func (w *writer) drop(number int) error {
	for _, suffix := range []string{recordSuffix, archiveSuffix} {
		if err := w.disk.Remove(w.path(number, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", nameOf(number), err)
		}
	}
	w.numbers = slices.DeleteFunc(w.numbers, func(n int) bool { return n == number })
	w.ordered = slices.DeleteFunc(w.ordered, func(g Generation) bool { return g.Number == number })
	return w.disk.SyncDir(filepath.Join(w.dir, generationsDir))
}

// prune removes what is more than keep. Generations in a row with the same
// settings (only clocks, counters and the like changed) count as one, of which
// the first and the last are enough: a machine that saves at each boot would
// else push out what its administrator did last week.
func (w *writer) prune(keep int) (pruned []int, err error) {
	settings := make(map[int]string, len(w.ordered))
	for _, g := range w.ordered {
		settings[g.Number] = g.Settings
	}
	alike := func(a, b int) bool { return settings[a] != "" && settings[a] == settings[b] }
	numbers, rows := slices.Clone(w.numbers), 0
	for i, n := range slices.Backward(numbers) {
		newer := i+1 < len(numbers) && alike(n, numbers[i+1])
		between := newer && i > 0 && alike(numbers[i-1], n)
		if !newer {
			rows++
		}
		if !between && rows <= keep || w.remembered(n) { // the newest, which was just written, in any case
			continue
		}
		if err := w.drop(n); err != nil {
			return pruned, err
		}
		pruned = append(pruned, n)
	}
	return pruned, nil
}
