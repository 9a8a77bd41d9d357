package layer

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/accounts"
	"github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/units"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the phase of what serves people, not initiators: those are let in
// first.
const Machine = plan.Final

// Clock is how the clock was set up.
type Clock struct {
	clock.Settings
	NoZone bool  // the declared time zone is none that the machine knows
	Err    error // why it could not be looked at
}

// Accounts are the users of the machine.
type Accounts struct {
	accounts.Listing
	Homes map[string]Home // of those of ours that are not declared
	Err   error           // why they could not be looked at
}

// Home is what there is in a home directory.
type Home struct {
	Bytes int64
	Files int
}

// Services are systemd's units of the services that are declared, by name.
type Services struct {
	Units map[string]units.Unit
	// Starting says that the machine is still booting: what is enabled may be
	// about to be started.
	Starting bool
	Err      error // why they could not be looked at
}

// Refuse says that an object that is declared cannot be had. If somebody wants
// it changed now, the change is refused; what was declared before with the same
// words must not keep the rest from being served, and is told by Status.
func (o *Observed) Refuse(b *plan.Builder, object string, declared any, format string, args ...any) {
	if before, ok := o.Before(object); ok && len(config.Fields(before, declared)) == 0 {
		b.Block(object, format, args...)
		return
	}
	b.Problem(object, format, args...)
}
