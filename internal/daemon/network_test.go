package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
)

type waitingNetwork struct{ u *appliance.Unconfirmed }

func (w *waitingNetwork) Unconfirmed() *appliance.Unconfirmed { return w.u }

// TestUnconfirmedNetwork: the alert stands as long as the change waits.
func TestUnconfirmedNetwork(t *testing.T) {
	var events []string
	b := alert.NewBoard(func(kind, _, _ string) { events = append(events, kind) })
	n := &waitingNetwork{}
	check := func(active int) {
		t.Helper()
		if err := (unconfirmedNetwork{n}).Check(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		all := b.Active()
		if len(all) != active {
			t.Errorf("active: %+v", all)
		}
		if active > 0 && !strings.Contains(all[0].Message, "ann changed the network") {
			t.Errorf("it reads %q", all[0].Message)
		}
	}
	check(0)
	n.u = &appliance.Unconfirmed{Revision: 3, Who: "ann", Deadline: time.Now().Add(time.Minute)}
	check(1)
	check(1)
	n.u = nil
	check(0)
	if got := strings.Join(events, " "); got != "network.unconfirmed network.settled" {
		t.Errorf("events %q", got)
	}
}
