package appliance

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/plan"
)

// Drift tells what of the machine is otherwise than the document in force
// says, in Drift of the plan that would undo it. Nothing is changed.
func (a *Appliance) Drift(ctx context.Context) (*plan.Plan, error) {
	return a.PlanChange(ctx, Change{Revert: true})
}

// servedByEngine says whether a step is about what an engine serves, which
// others can change too; the rest of the machine the daemon holds to the
// document.
func servedByEngine(s *plan.Step) bool {
	return !device.Follows(s) && slices.Contains([]string{"device", "portal", "target", "group", "lun", "alua"}, s.Layer)
}

// findDrift reads the drift off the steps that would undo it: what restores
// the document in force is what somebody changed.
func findDrift(k *look, before *config.Document) []plan.Drift {
	if !k.seen.Engine.Shared {
		return nil // nobody but the daemon can change it: what differs is repaired
	}
	byObject := map[string][]*plan.Step{}
	var order []string
	for i := range k.plan.Steps {
		s := &k.plan.Steps[i]
		if !servedByEngine(s) || !k.repair(s) {
			continue
		}
		if byObject[s.Object] == nil {
			order = append(order, s.Object)
		}
		byObject[s.Object] = append(byObject[s.Object], s)
	}
	if len(order) == 0 {
		return nil
	}
	missing := map[string]bool{}
	has, is := config.Objects(before), config.Objects(asDocument(k.seen.Engine))
	var found []plan.Drift
	for _, object := range order {
		d := plan.Drift{Object: object, Foreign: k.seen.Engine.Foreign[object]}
		switch kindOf(byObject[object]) {
		case plan.Missing:
			if missing[object] = true; slices.ContainsFunc(wholes(object), func(whole string) bool { return missing[whole] }) {
				continue // it went with its target or group
			}
			d.What, d.Message = plan.Missing, "it is declared, and it is not there"
		case plan.Added:
			d.What, d.Message, d.Fields = plan.Added, "it is there, and it is not declared", config.Fields(nil, is[object])
			if d.Foreign {
				d.Message += "; somebody else set it up whole"
			}
		default:
			d.What, d.Message = plan.Changed, "its settings are not those that are declared"
			d.Fields = changedFields(byObject[object], has[object], is[object])
			if len(d.Fields) == 0 {
				continue // a LUN that is unmapped for its device to be made anew
			}
		}
		found = append(found, d)
	}
	return found
}

// notByHand tells differences that nobody made by hand: what could not be put in
// place, which Status tells, and what a change that was cut off left.
func (a *Appliance) notByHand() func(plan.Drift) bool {
	unfinished := a.isUnfinished()
	a.mu.Lock()
	defer a.mu.Unlock()
	failed := map[string]bool{}
	for _, p := range a.problems {
		failed[p.Object] = true
	}
	return func(d plan.Drift) bool { return unfinished(d.Object) || d.What == plan.Missing && failed[d.Object] }
}

// kindOf is what somebody did to the object of steps that would undo it.
func kindOf(steps []*plan.Step) plan.DriftKind {
	create, remove := false, false
	for _, s := range steps {
		create = create || s.Action == plan.Create
		remove = remove || s.Action == plan.Delete
	}
	switch {
	case create && !remove:
		return plan.Missing
	case remove && !create:
		return plan.Added
	}
	return plan.Changed
}

// changedFields are the settings that differ: those that the layers say, which
// know what counts as the same, else those of the objects.
func changedFields(steps []*plan.Step, declared, observed any) []config.FieldChange {
	var fields []config.FieldChange
	for _, s := range steps {
		for _, c := range s.Changes {
			fields = append(fields, config.FieldChange{Field: c.Field, Old: c.New, New: c.Old})
		}
	}
	if len(fields) > 0 || declared == nil || observed == nil {
		return fields
	}
	return config.Fields(withDefaults(declared), withDefaults(observed))
}

func withDefaults(object any) any {
	switch o := object.(type) {
	case config.Device:
		return o.WithDefaults()
	case config.Portal:
		return o.WithDefaults()
	case config.Target:
		return o.WithDefaults()
	}
	return object
}

// asDocument is what an engine serves, as a document.
func asDocument(s engine.State) *config.Document {
	return &config.Document{Devices: s.Devices, ISCSI: s.ISCSI, Targets: s.Targets, DeviceGroups: s.DeviceGroups}
}

// wholes are what an object is a part of: a group of its target, a LUN of its
// group and target.
func wholes(object string) []string {
	kind, path, _ := strings.Cut(object, "/")
	if kind != "group" && kind != "lun" {
		return nil
	}
	var all []string
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path, '/') {
		path = path[:i]
		all = append(all, "group/"+path, "target/"+path)
	}
	return all
}

// within says whether an object is a part of another one.
func within(object, whole string) bool { return slices.Contains(wholes(object), whole) }

// leaveDrift is the plan of a look without what is left until it is asked for.
func (a *Appliance) leaveDrift(k *look) *plan.Plan {
	unfinished := a.isUnfinished()
	return leaveDrift(k.plan, func(s *plan.Step) bool { return k.repair(s) && !unfinished(s.Object) }, k.seen.Engine)
}

// leaveDrift takes out of a plan what would undo what somebody changed by hand:
// it may be in use, and this change is about something else. What is declared
// and not there at all is put in place, which cuts nobody off.
func leaveDrift(p *plan.Plan, repair func(*plan.Step) bool, seen engine.State) *plan.Plan {
	if !seen.Shared {
		return p
	}
	steps := map[string][]*plan.Step{}
	byID := map[plan.ID]*plan.Step{}
	for i := range p.Steps {
		s := &p.Steps[i]
		steps[s.Object] = append(steps[s.Object], s)
		byID[s.ID] = s
	}
	// A change of something that is there already, for something that is put in
	// place: a device that came back goes into its group again.
	completes := func(s *plan.Step) bool {
		return s.Action == plan.Change && slices.ContainsFunc(s.Needs, func(id plan.ID) bool {
			need := byID[id]
			return need != nil && need.Action == plan.Create && kindOf(steps[need.Object]) == plan.Missing
		})
	}
	left := map[plan.ID]bool{}
	kept := *p
	kept.Steps = nil
	for i := range p.Steps { // each comes after those that it needs
		s := &p.Steps[i]
		leave := servedByEngine(s) && repair(s) && kindOf(steps[s.Object]) != plan.Missing && !completes(s) ||
			slices.ContainsFunc(s.Needs, func(id plan.ID) bool { return left[id] })
		if leave {
			left[s.ID] = true
			continue
		}
		kept.Steps = append(kept.Steps, *s)
	}
	return &kept
}

// onlyObjects keeps the steps of some objects, of their parts, and what is tied
// to them.
func onlyObjects(p *plan.Plan, objects []string) *plan.Plan {
	if len(objects) == 0 {
		return p
	}
	chosen := linked(p, func(s *plan.Step) bool {
		return slices.ContainsFunc(objects, func(o string) bool { return s.Object == o || within(s.Object, o) })
	})
	kept := *p
	kept.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool { return !chosen[s.ID] })
	return &kept
}

// known refuses objects that did not drift.
func known(drift []plan.Drift, objects []string) error {
	for _, o := range objects {
		if slices.ContainsFunc(drift, func(d plan.Drift) bool { return d.Object == o }) {
			continue
		}
		names := make([]string, len(drift))
		for i, d := range drift {
			names[i] = d.Object
		}
		if len(names) == 0 {
			return &NoDriftError{Object: o, Message: "nothing was changed by hand"}
		}
		return &NoDriftError{Object: o, Message: "what was changed by hand is " + strings.Join(names, ", ")}
	}
	return nil
}

// NoDriftError says that an object was not changed by hand.
type NoDriftError struct{ Object, Message string }

// Error says what was.
func (e *NoDriftError) Error() string {
	return fmt.Sprintf("%s is as the document says: %s", e.Object, e.Message)
}

// markLeft notes which drift a plan leaves.
func markLeft(p *plan.Plan) {
	done := map[string]bool{}
	for i := range p.Steps {
		done[p.Steps[i].Object] = true
	}
	p.Drift = slices.Clone(p.Drift)
	for i := range p.Drift {
		p.Drift[i].Left = !done[p.Drift[i].Object]
	}
}

// lookForDrift looks from time to time: people should hear of it.
func (a *Appliance) lookForDrift() {
	if _, err := a.Drift(a.ctx); err != nil && a.ctx.Err() == nil {
		a.log.Warn("look for what was changed by hand", "err", err)
	}
}

// noteDrift tells once of what was changed by hand.
func (a *Appliance) noteDrift(drift []plan.Drift) {
	a.mu.Lock()
	before := a.drift
	a.drift = drift
	a.mu.Unlock()
	for _, d := range drift {
		same := func(b plan.Drift) bool {
			return b.Object == d.Object && b.What == d.What && reflect.DeepEqual(b.Fields, d.Fields)
		}
		if !slices.ContainsFunc(before, same) {
			a.event("array.drift", d.Object, "changed by hand, not by esos: "+d.Message+"; 'esos drift' shows it")
		}
	}
}
