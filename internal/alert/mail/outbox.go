package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// Outbox is the mails that wait for the server: a directory with a file for
// each. They outlive a restart, and with the settings a reboot. It is used by
// one goroutine at a time.
type Outbox struct {
	Dir string
	Now func() time.Time
	// Send sends one mail (Send of this package, with what the document says
	// now).
	Send func(ctx context.Context, m Message) error

	gone  []string // what was given up since the last Flush, and why
	hurry bool
}

// Limits of an outbox. A server that is away for weeks must not fill a memory.
const (
	maxWaiting = 100
	maxBody    = 64 << 10
	// maxTries is given up after: five days of tries, as mail servers do (RFC
	// 5321 section 4.5.4.1). They are counted, since a machine that was off for
	// a week, or whose clock is wrong at a start, must not lose its mail.
	maxTries = 5 * 24 * 2
)

// waiting is a mail in the outbox.
type waiting struct {
	Message
	Written time.Time `json:"written"`
	Tries   int       `json:"tries,omitempty"`
	Next    time.Time `json:"next,omitzero"` // not before
	Error   string    `json:"error,omitempty"`

	number int
}

// Put adds a mail. It is durable when Put returns, and the next Flush tries it.
func (o *Outbox) Put(m Message) error {
	if len(m.Body) > maxBody {
		m.Body = strings.ToValidUTF8(m.Body[:maxBody], "") + "\n(cut here)\n"
	}
	now := o.Now().UTC()
	m.ID = newID()
	if m.When.IsZero() {
		m.When = now
	}
	all, err := o.list()
	if err != nil {
		return err
	}
	for len(all) >= maxWaiting { // the oldest says the least
		if err := os.Remove(o.path(all[0].number)); err != nil {
			return fmt.Errorf("make room in the outbox: %w", err)
		}
		o.gone = append(o.gone, fmt.Sprintf("%q, which made room for a newer one", all[0].Subject))
		all = all[1:]
	}
	number := 1
	if len(all) > 0 {
		number = all[len(all)-1].number + 1
	}
	o.hurry = true
	return o.write(waiting{Message: m, Written: now, number: number})
}

// Hurry has the next Flush try all that waits: something is different now.
func (o *Outbox) Hurry() { o.hurry = true }

func (o *Outbox) path(number int) string {
	return filepath.Join(o.Dir, fmt.Sprintf("%08d.json", number))
}

func (o *Outbox) write(w waiting) error {
	if err := host.MakeDir(o.Dir, 0o700); err != nil {
		return fmt.Errorf("write a mail into the outbox: %w", err)
	}
	text, err := json.Marshal(w)
	if err == nil {
		err = renameio.WriteFile(o.path(w.number), text, 0o600)
	}
	if err == nil {
		err = host.SyncDir(o.Dir)
	}
	if err != nil {
		return fmt.Errorf("write a mail into the outbox: %w", err)
	}
	return nil
}

// list returns what waits, oldest first. A file that is damaged is removed.
func (o *Outbox) list() ([]waiting, error) {
	entries, err := os.ReadDir(o.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	var all []waiting
	for _, e := range entries {
		number, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".json"))
		if err != nil || number < 1 || e.Name() != filepath.Base(o.path(number)) {
			continue
		}
		text, err := os.ReadFile(o.path(number))
		if err != nil {
			return nil, fmt.Errorf("read the outbox: %w", err)
		}
		w := waiting{number: number}
		if json.Unmarshal(text, &w) != nil {
			if err := os.Remove(o.path(number)); err != nil {
				return nil, fmt.Errorf("remove a damaged mail: %w", err)
			}
			o.gone = append(o.gone, "one whose file "+e.Name()+" was damaged")
			continue
		}
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b waiting) int { return a.number - b.number })
	return all, nil
}

// Flushed is how a Flush went.
type Flushed struct {
	Sent    int
	Dropped []string // mails that were given up, and why
	Waiting int      // that are left
	Since   time.Time
	Error   string // why the last one could not be sent
}

// Flush sends what is due, oldest first. It stops at the first that the server
// does not take now, and when ctx ends; what the server has taken by then is
// out of the outbox.
func (o *Outbox) Flush(ctx context.Context) (f Flushed, err error) {
	all, err := o.list()
	if err != nil {
		return f, err
	}
	hurry := o.hurry
	o.hurry = false
	for _, w := range all {
		if ctx.Err() != nil {
			break
		}
		// A time further away than any pause is that of a clock that was wrong.
		if wait := w.Next.Sub(o.Now()); wait > 0 && wait <= longestPause && !hurry {
			if len(w.To) > 0 {
				continue // the server takes mail, but not for everybody
			}
			break // those behind it wait, too: mails arrive in order
		}
		sendErr := o.Send(ctx, w.Message)
		if partly := (*PartlyError)(nil); ctx.Err() != nil && sendErr != nil && !errors.As(sendErr, &partly) {
			break // cut off, which says nothing of the server
		}
		again, err := o.judge(w, sendErr, &f)
		if err != nil {
			return f, err
		}
		if again {
			break // those behind it would fare no better
		}
	}
	return o.count(f)
}

// judge sees to a mail after it was tried, and says whether it is to be tried
// again.
func (o *Outbox) judge(w waiting, sendErr error, f *Flushed) (again bool, err error) {
	var permanent *PermanentError
	var partly *PartlyError
	switch {
	case sendErr == nil:
		f.Sent++
	case errors.As(sendErr, &permanent):
		o.gone = append(o.gone, fmt.Sprintf("%q: %v", w.Subject, sendErr))
	case errors.As(sendErr, &partly) && len(partly.Later) == 0:
		f.Sent++
		o.gone = append(o.gone, fmt.Sprintf("%q: %v", w.Subject, sendErr))
	case w.Tries+1 >= maxTries:
		o.gone = append(o.gone, fmt.Sprintf("%q, tried since %s: %v", w.Subject, w.Written.Format(time.DateTime), sendErr))
	default:
		if partly != nil {
			w.To = partly.Later
			if len(partly.Refused) > 0 {
				o.gone = append(o.gone, fmt.Sprintf("%q for %s: %v", w.Subject, strings.Join(partly.Refused, ", "), sendErr))
			}
		}
		w.Tries, w.Error = w.Tries+1, sendErr.Error()
		w.Next = o.Now().Add(pause(w.Tries)).UTC()
		return partly == nil, o.write(w)
	}
	if err := os.Remove(o.path(w.number)); err != nil {
		return false, fmt.Errorf("take a mail out of the outbox: %w", err)
	}
	return false, nil
}

// count says what is left, and what was given up.
func (o *Outbox) count(f Flushed) (Flushed, error) {
	left, err := o.list()
	if f.Waiting = len(left); f.Waiting > 0 {
		f.Since, f.Error = left[0].Written, left[0].Error
	}
	f.Dropped, o.gone = o.gone, nil
	return f, err
}

// longestPause is between tries of a server that is away for long.
const longestPause = 30 * time.Minute

// pause is how long to wait after a number of tries.
func pause(tries int) time.Duration {
	waits := []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute}
	if tries <= len(waits) {
		return waits[tries-1]
	}
	return longestPause
}
