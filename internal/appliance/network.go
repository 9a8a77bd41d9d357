package appliance

import (
	"context"
	"errors"

	"github.com/esos-project/esos/internal/host/networking"
)

// ErrNotOwner says that something is done on an appliance only.
var ErrNotOwner = errors.New("this machine is not ESOS's own: it is set up by its own tools")

// networkMachine is the part of the machine's network that is shown and started anew,
// besides what the layer does with it.
type networkMachine interface {
	Links() ([]networking.Link, error)
	RestartNetwork(ctx context.Context) error
}

// Links lists the machine's network interfaces.
func (a *Appliance) Links() ([]networking.Link, error) { return a.machine.Links() }

// RestartNetwork sets every interface up anew. Static addresses stay meanwhile.
func (a *Appliance) RestartNetwork(ctx context.Context) error {
	if !a.ownsMachine {
		return ErrNotOwner
	}
	if err := a.machine.RestartNetwork(ctx); err != nil {
		return err
	}
	a.event("network.restarted", "network", "the network interfaces are set up anew")
	return nil
}
