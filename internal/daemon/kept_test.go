package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

// hanging is a medium that takes its time.
type hanging struct{ takes time.Duration }

func (h hanging) Save(context.Context, string) (persist.Saved, error) {
	time.Sleep(h.takes)
	return persist.Saved{}, nil
}

func (hanging) Last() (machine.Last, error) { return machine.Last{}, nil }

func TestKept(t *testing.T) {
	if kept(nil) != nil {
		t.Error("without a medium something is waited for")
	}
	synctest.Test(t, func(t *testing.T) {
		s := &stick{began: time.Now()}
		if err := kept(s)(t.Context(), "apply"); err != nil || len(s.saves) != 1 {
			t.Errorf("%v, saves %q", err, s.saves)
		}
		s.pull(true)
		var gone *machine.MediumError
		if err := kept(s)(t.Context(), "apply"); !errors.As(err, &gone) {
			t.Errorf("without the stick: %v", err)
		}
		began := time.Now()
		if err := kept(hanging{time.Hour})(t.Context(), "apply"); err == nil || time.Since(began) != keptTime {
			t.Errorf("a medium that hangs: %v after %v", err, time.Since(began))
		}
		if err := kept(hanging{keptTime / 2})(t.Context(), "apply"); err != nil {
			t.Errorf("a slow medium: %v", err)
		}
		time.Sleep(2 * time.Hour) // the one that hung comes back, to nobody
	})
}
