// Package plan is what stands between a declared document and the machine:
// steps, each with a sentence for people, what it needs and what it destroys,
// in the order in which they are carried out.
package plan

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/esos-project/esos/internal/config"
)

// ID names a step: its action and its object, like "create device/db01".
type ID string

// Action is what a step does to its object.
type Action string

// Actions.
const (
	Create Action = "create"
	Change Action = "change"
	Delete Action = "delete"
)

// StepID makes the ID of a step.
func StepID(a Action, object string) ID { return ID(string(a) + " " + object) }

// Phase is when a step's turn is. Slow work that can fail for want of space
// comes before anything is torn down; what cannot be undone comes last.
type Phase int

// Phases, in order.
const (
	Prepare  Phase = iota + 1 // make what nobody uses yet
	Teardown                  // take away, from the top of the stack down
	Build                     // put in place, from the bottom up
	Enable                    // let initiators in
	Final                     // destroy what nobody uses any more
	Clear                     // take the storage below that apart, from the top of the stack down
)

// Step is one change to one object.
type Step struct {
	ID       ID                   `json:"id"`
	Layer    string               `json:"layer"`
	Object   string               `json:"object"` // like device/db01
	Action   Action               `json:"action"`
	Phase    Phase                `json:"-"`
	Sentence string               `json:"sentence"`
	Changes  []config.FieldChange `json:"changes,omitempty"` // the settings that a change sets
	Needs    []ID                 `json:"needs,omitempty"`   // steps that must be done before, if they are in the plan
	// Destroys says what is lost, and how much of it; such a step is refused
	// until its Consent is named.
	Destroys string `json:"destroys,omitempty"`
	// Disrupts says who feels it, of steps that lose nothing.
	Disrupts string `json:"disrupts,omitempty"`
	// Reveals says that it brings what could not be looked at when the plan was
	// made: disks, and what is on them. There may be more to do then.
	Reveals bool `json:"-"`
	// Consent is what must be named before a destroying step is done; Object
	// when empty. It differs where a step goes with another one.
	Consent string `json:"-"`
	// Do carries the step out. It is idempotent and may be called again.
	Do func(ctx context.Context, report Report) error `json:"-"`
	// Undo brings back what Do changed; nil if it cannot be, or need not be.
	Undo func(ctx context.Context) error `json:"-"`
}

// Report hears how far a step is, 0 to 1, of steps that take long.
type Report func(fraction float64)

// Note is something that a plan leaves as it is, and why.
type Note struct {
	Object  string `json:"object"`
	Message string `json:"message"`
	// Degraded says that something declared is not served because of it, or
	// not as safely as it should be.
	Degraded bool `json:"degraded,omitempty"`
}

// Plan is the steps from what is to what is declared.
type Plan struct {
	Steps []Step `json:"steps"`
	// Notes tell what is left alone or cannot be had now.
	Notes []Note `json:"notes,omitempty"`
	// Problems forbid to carry the plan out.
	Problems []Note `json:"problems,omitempty"`
	// Drift is what somebody changed by hand, which is no wish of the document.
	Drift []Drift `json:"drift,omitempty"`
	// Adopts is what is written into the document instead of changing the
	// machine.
	Adopts []config.Change `json:"adopts,omitempty"`
}

// Empty says whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Needs returns what must be named before the plan can be carried out, beyond
// what is named in destroy, each once.
func (p *Plan) Needs(destroy []string) []string {
	var needs []string
	for i := range p.Steps {
		s := &p.Steps[i]
		if c := s.consent(); s.Destroys != "" && !slices.Contains(destroy, c) && !slices.Contains(needs, c) {
			needs = append(needs, c)
		}
	}
	return needs
}

func (s *Step) consent() string {
	if s.Consent != "" {
		return s.Consent
	}
	return s.Object
}

// Allowed says whether a step may be carried out with what is named.
func (s *Step) Allowed(destroy []string) bool {
	return s.Destroys == "" || slices.Contains(destroy, s.consent())
}

// Builder gathers the steps of the layers, bottom of the stack first.
type Builder struct {
	plan    Plan
	ranks   []int // of the layer that added the step
	rank    int
	blocked map[string]string
	needs   map[ID][]ID // of steps of lower layers
	comes   map[string]Coming
	freed   map[string]ID
}

// Coming is a path that a step of the plan brings: a block device, or a
// directory where a file system is mounted.
type Coming struct {
	Step ID
	Size int64 // bytes that it will have, as far as that is known
}

// Comes says that a path will be there, or be larger, when a step is done.
func (b *Builder) Comes(path string, c Coming) {
	if b.comes == nil {
		b.comes = map[string]Coming{}
	}
	b.comes[path] = c
}

// Coming finds the step that brings a path, or the directory that it is in.
func (b *Builder) Coming(p string) (Coming, bool) {
	for {
		if c, ok := b.comes[p]; ok {
			return c, true
		}
		up := path.Dir(p)
		if up == p || up == "." {
			return Coming{}, false
		}
		p = up
	}
}

// Frees says that a block device, by the kernel's name, has no user and
// nothing on it when a step is done.
func (b *Builder) Frees(name string, step ID) {
	if b.freed == nil {
		b.freed = map[string]ID{}
	}
	b.freed[name] = step
}

// Freed finds the step that frees a block device.
func (b *Builder) Freed(name string) (ID, bool) {
	id, ok := b.freed[name]
	return id, ok
}

// Has says whether a step is planned already.
func (b *Builder) Has(id ID) bool {
	return slices.ContainsFunc(b.plan.Steps, func(s Step) bool { return s.ID == id })
}

// Layer says that the steps that follow are of the next layer up the stack.
func (b *Builder) Layer() { b.rank++ }

// Add adds a step. ID and Phase are filled from Action if they are not set:
// deletes belong to Teardown, all else to Build.
func (b *Builder) Add(s Step) {
	if s.ID == "" {
		s.ID = StepID(s.Action, s.Object)
	}
	if s.Phase == 0 {
		s.Phase = Build
		if s.Action == Delete {
			s.Phase = Teardown
		}
	}
	b.plan.Steps = append(b.plan.Steps, s)
	b.ranks = append(b.ranks, b.rank)
}

// Need says that a step, perhaps one of a lower layer, needs another one.
func (b *Builder) Need(step, needs ID) {
	if b.needs == nil {
		b.needs = map[ID][]ID{}
	}
	b.needs[step] = append(b.needs[step], needs)
}

// Note notes something that is left alone.
func (b *Builder) Note(object, format string, args ...any) {
	b.plan.Notes = append(b.plan.Notes, Note{Object: object, Message: fmt.Sprintf(format, args...)})
}

// Degraded notes that an object is not as it should be, though it serves.
func (b *Builder) Degraded(object, format string, args ...any) {
	b.plan.Notes = append(b.plan.Notes, Note{Object: object, Message: fmt.Sprintf(format, args...), Degraded: true})
}

// Problem forbids to carry the plan out.
func (b *Builder) Problem(object, format string, args ...any) {
	b.plan.Problems = append(b.plan.Problems, Note{Object: object, Message: fmt.Sprintf(format, args...)})
}

// Block notes that an object cannot be had now, so that the layers above
// leave out what leads to it.
func (b *Builder) Block(object, format string, args ...any) {
	if b.blocked == nil {
		b.blocked = map[string]string{}
	}
	b.blocked[object] = fmt.Sprintf(format, args...)
	b.plan.Notes = append(b.plan.Notes, Note{Object: object, Message: b.blocked[object], Degraded: true})
}

// Blocked says whether an object cannot be had now.
func (b *Builder) Blocked(object string) bool {
	_, ok := b.blocked[object]
	return ok
}

// Why says why an object is blocked; "" if it is not.
func (b *Builder) Why(object string) string { return b.blocked[object] }

// Plan orders what was added: by phase, within a phase up the stack (down in
// Teardown), then as added; and each step after those that it needs.
func (b *Builder) Plan() (*Plan, error) {
	order := make([]int, len(b.plan.Steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		px, py := b.plan.Steps[x].Phase, b.plan.Steps[y].Phase
		switch {
		case px != py:
			return int(px - py)
		case px == Teardown || px == Clear:
			return b.ranks[y] - b.ranks[x]
		default:
			return b.ranks[x] - b.ranks[y]
		}
	})
	p := b.plan
	p.Steps = make([]Step, 0, len(order))
	byID := make(map[ID]int, len(order))
	for i := range b.plan.Steps {
		id := b.plan.Steps[i].ID
		if _, twice := byID[id]; twice {
			return nil, fmt.Errorf("order plan: step %q was planned twice", id)
		}
		byID[id] = i
		if more := b.needs[id]; len(more) > 0 {
			s := &b.plan.Steps[i]
			s.Needs = append(slices.Clone(s.Needs), more...)
		}
	}
	const waiting, visiting, placed = 0, 1, 2
	state := make([]int8, len(order))
	var place func(i int) error
	place = func(i int) error {
		switch state[i] {
		case placed:
			return nil
		case visiting:
			return fmt.Errorf("order plan: step %q needs itself", b.plan.Steps[i].ID)
		}
		state[i] = visiting
		for _, need := range b.plan.Steps[i].Needs {
			if j, ok := byID[need]; ok {
				if err := place(j); err != nil {
					return err
				}
			}
		}
		state[i] = placed
		p.Steps = append(p.Steps, b.plan.Steps[i])
		return nil
	}
	for _, i := range order {
		if err := place(i); err != nil {
			return nil, err
		}
	}
	return &p, nil
}
