package frame

import (
	"context"
	"errors"
	"io/fs"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
)

// patience is how long one question to the array may take before it counts as
// lost; plans of large arrays take seconds.
const patience = 2 * time.Minute

// waiting is work that the keys wait for.
type waiting struct {
	what  string
	since time.Time
	stop  context.CancelFunc
	given bool     // up, by whoever waits
	under *waiting // what was waited for before, and still is
}

// give gives up what is waited for, whether or not whoever does it heeds that.
func (d *Desk) give() {
	w := d.waiting
	w.given = true
	w.stop()
	d.waiting = w.under
	d.pending++ // until it is over
}

// over takes work off those that are waited for.
func (d *Desk) over(w *waiting) {
	if w.given {
		d.pending--
		return
	}
	for at := &d.waiting; *at != nil; at = &(*at).under {
		if *at == w {
			*at = w.under
			return
		}
	}
}

// Load does what takes a while, such as a question to the array, and then
// calls then. Keys wait for it; Esc gives it up. what says what is done:
// "Read the disks". An error is shown, and then is not called.
func Load[T any](d *Desk, what string, load func(context.Context) (T, error), then func(T)) {
	LoadElse(d, what, load, then, func(err error) { d.Fail(what, err) })
}

// LoadElse is Load for who handles errors otherwise.
func LoadElse[T any](d *Desk, what string, load func(context.Context) (T, error), then func(T), failed func(error)) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	w := &waiting{what: what, since: d.Now(), stop: cancel, under: d.waiting}
	d.waiting = w
	go func() {
		v, err := load(ctx)
		cancel()
		d.Update(func() {
			d.over(w)
			d.heard(err)
			switch {
			case w.given:
			case err != nil:
				failed(err)
			default:
				then(v)
			}
			d.replay()
		})
	}()
}

// Do is Load of something that has no answer.
func (d *Desk) Do(what string, do func(context.Context) error, then func()) {
	Load(d, what, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) }, func(struct{}) { then() })
}

// Refresh reads something behind what is shown: keys do not wait, and then
// decides what an error means.
func Refresh[T any](d *Desk, load func(context.Context) (T, error), then func(T, error)) {
	ctx, cancel := context.WithTimeout(d.ctx, patience)
	d.pending++
	go func() {
		v, err := load(ctx)
		cancel()
		d.Update(func() {
			d.pending--
			d.heard(err)
			then(v, err)
		})
	}()
}

// link is the way to the array's daemon.
type link struct {
	lost   bool
	since  time.Time
	denied bool // it is there, and not for whoever sits here
}

// listen finds out whether the array is there while nothing else asks it: who
// fills in a form is to know before the end.
func (d *Desk) listen() {
	if d.link.lost || d.waiting != nil || d.pending > 0 || d.o.Client == nil {
		return
	}
	Refresh(d, d.o.Client.Status, func(v1.Status, error) {}) // it hears
}

// again is the pause before a lost array is asked again.
const again = time.Second

// heard notes that the array did not answer. That something else went well says
// nothing: it may not have asked the array; call finds out.
func (d *Desk) heard(err error) {
	var gone *client.UnreachableError
	if !errors.As(err, &gone) || d.link.lost || d.ctx.Err() != nil {
		return
	}
	d.link = link{lost: true, since: d.Now(), denied: errors.Is(err, fs.ErrPermission)}
	go d.call()
}

// call asks the lost array until it answers.
func (d *Desk) call() {
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-time.After(again):
		}
		ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
		_, err := d.o.Client.Status(ctx)
		cancel()
		var gone *client.UnreachableError
		if !errors.As(err, &gone) && !errors.Is(err, context.DeadlineExceeded) {
			d.Update(d.found)
			return
		}
	}
}

// found goes on with an array that answers again.
func (d *Desk) found() {
	d.link.lost = false
	d.Toast(Good, "The array answers again.")
	d.arrive()
}

// Lost says whether the array does not answer.
func (d *Desk) Lost() bool { return d.link.lost }

// toast is a word at the bottom that goes by itself.
type toast struct {
	text  string
	level Level
	until time.Time
}

// Toast says something at the bottom, for a while.
func (d *Desk) Toast(l Level, text string) {
	d.toast = toast{text: text, level: l, until: d.Now().Add(6 * time.Second)}
}

// ClearToast takes that word away before its time.
func (d *Desk) ClearToast() { d.toast = toast{} }
