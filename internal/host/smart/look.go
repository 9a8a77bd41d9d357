package smart

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/esos-project/esos/internal/host/block"
)

// atOnce is how many disks are asked at the same time: a dead one must not put
// the others off for long.
const atOnce = 4

// Look asks all disks how they are and notes it. Of a disk that sleeps, or
// cannot be asked, what is known stays known.
func (b *Book) Look(ctx context.Context, m block.Machine) error {
	inv, err := block.Read(ctx, m)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	seen := map[string]Entry{}
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, d := range inv.Devices() {
		if d.Type != "disk" || d.Size == 0 {
			continue
		}
		g.Go(func() error {
			h, err := Read(ctx, m, d.Path)
			h.When = time.Now().UTC()
			switch {
			case errors.Is(err, ErrSilent):
				return nil
			case err != nil:
				h.Error = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			seen[Key(d.Model, d.Serial, d.Name)] = Entry{Health: h, Disk: d.Friendly()}
			return nil
		})
	}
	_ = g.Wait() // none has an error
	if err := ctx.Err(); err != nil {
		return err
	}
	b.note(seen)
	return nil
}

// Trouble says what is wrong with a disk, "" if nothing is; failing says that it
// is about to die, or has.
func (e Entry) Trouble() (text string, failing bool) {
	say := func(s string) {
		if text != "" {
			text += "; "
		}
		text += s
	}
	if e.Passed != nil && !*e.Passed {
		say("it says itself that it is failing")
		failing = true
	}
	for _, w := range e.Warnings {
		say(w)
	}
	if n := number(e.Pending); n > 0 {
		say(count(n, "sector") + " cannot be read")
	}
	if n := number(e.Media) - e.First.Media; n > 0 {
		say(count(n, "error") + " could not be corrected since it came here")
	}
	if n := number(e.Relocated) - e.First.Relocated; n > 0 {
		say(count(n, "sector") + " had to be replaced since it came here")
	}
	if t := e.SelfTest; t != nil && t.Passed != nil && !*t.Passed {
		say("its last self-test: " + t.Result)
	}
	if e.Error != "" && e.Passed != nil { // it told before
		say("it cannot be asked any more: " + e.Error)
	}
	return text, failing
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}
