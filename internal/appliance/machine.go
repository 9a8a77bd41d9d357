package appliance

import (
	"github.com/esos-project/esos/internal/host/accounts"
	clockhost "github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/internal/host/units"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/clock"
	"github.com/esos-project/esos/internal/layer/mail"
	"github.com/esos-project/esos/internal/layer/service"
	"github.com/esos-project/esos/internal/layer/user"
)

// System is what of the machine documents set up besides what is served and
// the network; the host's where a field is nil.
type System struct {
	Clock    clock.Machine
	Users    user.Machine
	Services service.Machine
	Mail     mail.Machine
}

// systemLayers stand above the stack: what they set up serves people, and
// initiators come first.
func systemLayers(o Options) []layer.Layer {
	s := o.System
	if s.Clock == nil {
		s.Clock = clockhost.Machine{Units: units.Systemd{}}
	}
	if s.Users == nil {
		s.Users = accounts.Machine{}
	}
	if s.Services == nil {
		s.Services = units.Systemd{}
	}
	if s.Mail == nil {
		s.Mail = msmtp.Machine{Root: "/"}
	}
	system := []layer.Layer{
		layer.IfOwner(o.OwnsMachine, clock.Layer{Machine: s.Clock}, clock.Declares),
		layer.IfOwner(o.OwnsMachine, user.Layer{Machine: s.Users}, user.Declares),
		layer.IfOwner(o.OwnsMachine, service.Layer{Machine: s.Services}, service.Declares),
	}
	if o.OwnsMachine {
		// Elsewhere alerts are mailed all the same, and the programs' mail is the
		// machine's own business.
		system = append(system, mail.Layer{Machine: s.Mail})
	}
	return system
}
