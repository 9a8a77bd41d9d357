package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/crash/load"
)

// Alerts about kernels that crash.
const (
	CrashDump        = "crash.dump"        // one was saved that nobody has seen to
	CrashUnprotected = "crash.unprotected" // the next one would not be saved
)

// crashes is the rule about kernels that crashed, and that may. It reads what
// `esos crash` leaves, and never the medium.
type crashes struct{ state, found, seen string }

func newCrashes(o Options) crashes {
	return crashes{
		filepath.Join(o.RunDir, filepath.Base(load.StatePath)), filepath.Join(o.RunDir, filepath.Base(crash.FoundPath)),
		filepath.Join(o.DataDir, filepath.Base(crash.SeenPath)),
	}
}

// Check implements alert.Rule.
func (c crashes) Check(_ context.Context, b *alert.Board) error {
	return errors.Join(c.checkDumps(b), c.checkState(b))
}

func (c crashes) checkDumps(b *alert.Board) error {
	found, err := crash.ReadFound(c.found)
	if err != nil {
		return err
	}
	seen, err := crash.ReadSeen(c.seen)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(d crash.Dump) bool { return slices.Contains(seen, d.Name) })
	if len(found) == 0 {
		b.Clear(CrashDump, "crash.seen", "somebody has seen to the crash")
		return nil
	}
	last := found[len(found)-1]
	var text strings.Builder
	fmt.Fprintf(&text, "the kernel crashed at %s", last.When.UTC().Format(time.DateTime+" UTC"))
	if last.Reason != "" {
		fmt.Fprintf(&text, " (%s)", last.Reason)
	}
	switch {
	case last.Complete:
		fmt.Fprintf(&text, "; what it left is saved on the medium as %s, %d MiB", last.Name, last.Size>>20)
	case last.Dropped:
		fmt.Fprintf(&text, "; its messages are saved on the medium as %s", last.Name)
	default:
		fmt.Fprintf(&text, "; what it left is saved on the medium as %s, but not all of it: %s", last.Name, last.Error)
	}
	if n := len(found) - 1; n > 0 {
		fmt.Fprintf(&text, "; nobody has seen to %d before it, either", n)
	}
	fmt.Fprintf(&text, ". Look at it with 'esos crash show %s', copy it with 'esos crash export', and clear this alert with 'esos crash ack'", last.Name)
	b.Raise(alert.Alert{ID: CrashDump, Severity: alert.Critical, Object: "kernel", Message: text.String()})
	return nil
}

func (c crashes) checkState(b *alert.Board) error {
	s, err := load.ReadState(c.state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not tried yet, or no appliance
	}
	if err != nil {
		return err
	}
	if s.Error == "" {
		b.Clear(CrashUnprotected, "crash.protected", "the crash kernel is loaded")
		return nil
	}
	b.Raise(alert.Alert{ID: CrashUnprotected, Severity: alert.Warning, Object: "kernel",
		Message: "the array serves, but if its kernel crashes, nothing of that is saved: " + s.Error + ". It is tried again; or run 'esos crash load'"})
	return nil
}
