package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
)

// unconfirmedNetwork is the rule about a change of the network that nobody has
// confirmed yet: whoever wonders why the array is somewhere else reads it here.
type unconfirmedNetwork struct {
	network interface {
		Unconfirmed() *appliance.Unconfirmed
	}
}

// Check implements alert.Rule.
func (r unconfirmedNetwork) Check(_ context.Context, b *alert.Board) error {
	const id = "network.unconfirmed"
	u := r.network.Unconfirmed()
	if u == nil {
		b.Clear(id, "network.settled", "no change of the network waits to be confirmed")
		return nil
	}
	b.Raise(alert.Alert{ID: id, Severity: alert.Warning, Object: "network",
		Message: fmt.Sprintf("%s changed the network, and it is undone at %s unless it is confirmed: esos network confirm", u.Who, u.Deadline.Local().Format(time.TimeOnly))})
	return nil
}
