// Package layer is what all layers of the stack share. A layer answers three
// questions: Observe says what is there now, Plan (a pure function) which
// steps lead from there to the declared document, and each step's Do carries
// it out. One package below this one is one layer.
package layer

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/plan"
)

// Layer is one layer of the stack.
type Layer interface {
	Name() string
	// Observe reads what this layer looks at, from the machine each time.
	Observe(ctx context.Context, declared *config.Document, seen *Observed) error
	// Plan adds the steps from what was seen to what is declared. It touches
	// nothing: the same arguments give the same steps.
	Plan(declared *config.Document, seen *Observed, b *plan.Builder)
}

// Beginner is a layer whose look takes long and needs nothing of the layers
// before it: it begins with the first of them, and Observe waits for its end.
type Beginner interface {
	Begin(ctx context.Context, declared *config.Document, seen *Observed)
}

// Observe has all layers look.
func Observe(ctx context.Context, layers []Layer, declared *config.Document, seen *Observed) error {
	for _, l := range layers {
		if b, ok := l.(Beginner); ok {
			b.Begin(ctx, declared, seen)
		}
	}
	for _, l := range layers {
		if err := l.Observe(ctx, declared, seen); err != nil {
			return fmt.Errorf("layer %s: %w", l.Name(), err)
		}
	}
	return nil
}

// Observed is what the layers saw, read once for a plan.
type Observed struct {
	Engine   engine.State
	Sessions []engine.Session
	Stores   map[string]Store // by the path as declared
	NVMe     NVMe
	Storage  Storage
	Network  Network
	Clock    Clock
	Mail     Mail
	Accounts Accounts
	Services Services
	// InForce is the document that is being replaced, nil before the first.
	// What it declares with the same words is no wish of this change.
	InForce *config.Document
	// Destroy is what the administrator named as given up.
	Destroy []string
	// Look says that people want to see what there is: layers look at all of it,
	// whether or not the document declares any.
	Look bool

	read    bool
	users   map[string]int    // sessions by device
	inForce map[string]any    // objects of InForce
	served  map[string]int    // index in Engine.Devices
	logins  map[[2]string]int // sessions by target and group
	usesOf  *config.Document  // whose uses are in used
	used    []use
}

// Store is what there is at the path of a device.
type Store struct {
	Exists    bool
	Size      int64       // bytes
	Allocated int64       // bytes of space that it takes
	Block     bool        // a block device
	Real      string      // its path without symbolic links, if it is declared absolute
	ID        host.FileID // the same for every path that leads to it
	Volatile  string      // the file system that loses it at a reboot: tmpfs, say; looked for where the root is in memory
	Err       error       // why it could not be looked at
}

// Source is the part of an engine that layers look at.
type Source interface {
	Observe(ctx context.Context) (engine.State, error)
	Sessions(ctx context.Context) ([]engine.Session, error)
}

// Read reads the engine, unless another layer did so for this plan.
func (o *Observed) Read(ctx context.Context, s Source) error {
	if o.read {
		return nil
	}
	state, err := s.Observe(ctx)
	if err != nil {
		return fmt.Errorf("observe what is served: %w", err)
	}
	sessions, err := s.Sessions(ctx)
	if err != nil {
		return fmt.Errorf("observe sessions: %w", err)
	}
	o.Engine, o.Sessions, o.read = state, sessions, true
	return nil
}

// Device returns a device that is served, nil if there is none of that name.
func (o *Observed) Device(name string) *config.Device {
	if o.served == nil {
		o.served = make(map[string]int, len(o.Engine.Devices))
		for i := range o.Engine.Devices {
			o.served[o.Engine.Devices[i].Name] = i
		}
	}
	if i, ok := o.served[name]; ok {
		return &o.Engine.Devices[i]
	}
	return nil
}

// Loss is what is lost when an object that is served is taken away: what the
// layer says, and that it is somebody else's, who did not ask for it.
func (o *Observed) Loss(object, lost string) string {
	const others = "it was not set up by ESOS"
	switch {
	case !o.Engine.Foreign[object]:
		return lost
	case lost == "":
		return others
	}
	return others + "; " + lost
}

// Before returns an object of the document in force (config.Objects).
func (o *Observed) Before(object string) (any, bool) {
	if o.inForce == nil {
		o.inForce = map[string]any{}
		if o.InForce != nil {
			o.inForce = config.Objects(o.InForce)
		}
	}
	v, ok := o.inForce[object]
	return v, ok
}

// Logins counts the sessions of a target that fell into a group; group "" is
// the default map.
func (o *Observed) Logins(target, group string) int {
	o.count()
	return o.logins[[2]string{target, group}]
}

// Users counts the sessions that have a LUN on a device.
func (o *Observed) Users(device string) int {
	o.count()
	return o.users[device]
}

func (o *Observed) count() {
	if o.logins != nil {
		return
	}
	o.logins, o.users = map[[2]string]int{}, map[string]int{}
	for _, s := range o.Sessions {
		o.logins[[2]string{s.Target, s.Group}]++
	}
	for _, t := range o.Engine.Targets {
		o.countMap(t.LUNs, o.logins[[2]string{t.Name, ""}])
		for _, g := range t.Groups {
			o.countMap(g.LUNs, o.logins[[2]string{t.Name, g.Name}])
		}
	}
}

func (o *Observed) countMap(luns []config.LUN, sessions int) {
	seen := map[string]bool{}
	for _, l := range luns {
		if sessions > 0 && !seen[l.Device] {
			seen[l.Device] = true
			o.users[l.Device] += sessions
		}
	}
}

// Sessions puts a number of sessions into words.
func Sessions(n int, does string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 session " + does + "s it"
	default:
		return fmt.Sprintf("%d sessions %s it", n, does)
	}
}
