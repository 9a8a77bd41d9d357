package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/plan"
)

// unfinished are the objects of a plan that is being carried out, or did not
// come to its end: the daemon was killed, a step failed. What differs there is
// the plan's making and no drift, for this daemon and the next one: half a
// target is not to stay as it is until somebody asks. They are kept in a file,
// which need not be durable: after a power cut the kernel serves nothing.
type unfinished struct {
	path    string
	objects map[string]bool // never changed, only replaced
}

// unfinishedFile is in the data directory.
const unfinishedFile = "unfinished.json"

// load reads what the last daemon left. A file that is damaged names nothing.
func (u *unfinished) load() error {
	text, err := os.ReadFile(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was not finished: %w", err)
	}
	var names []string
	if json.Unmarshal(text, &names) != nil {
		return nil
	}
	u.objects = map[string]bool{}
	for _, n := range names {
		u.objects[n] = true
	}
	return nil
}

// set keeps what is not finished from now on.
func (u *unfinished) set(objects map[string]bool) error {
	if maps.Equal(u.objects, objects) {
		return nil
	}
	var err error
	if len(objects) == 0 {
		if err = os.Remove(u.path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		var text []byte
		if text, err = json.Marshal(slices.Sorted(maps.Keys(objects))); err == nil {
			err = renameio.WriteFile(u.path, text, 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("keep what is not finished: %w", err)
	}
	u.objects = objects
	return nil
}

// beginWork notes the objects of a plan before it is carried out. Only what
// others can change too needs it.
func (a *Appliance) beginWork(p *plan.Plan) error {
	if !a.shared.Load() || p.Empty() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	all := maps.Clone(a.unfinished.objects)
	if all == nil {
		all = map[string]bool{}
	}
	for i := range p.Steps {
		if s := &p.Steps[i]; servedByEngine(s) {
			all[s.Object] = true
		}
	}
	return a.unfinished.set(all)
}

// endWork notes that a plan came to its end, but for what is still not as
// declared.
func (a *Appliance) endWork(p *plan.Plan, still []plan.Note) error {
	return a.finish(still, func(object string) bool {
		return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Object == object })
	})
}

// finish takes the objects that done says out of what is unfinished.
func (a *Appliance) finish(still []plan.Note, done func(object string) bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := maps.Clone(a.unfinished.objects)
	maps.DeleteFunc(left, func(object string, _ bool) bool {
		return done(object) && !slices.ContainsFunc(still, func(n plan.Note) bool { return n.Object == object })
	})
	return a.unfinished.set(left)
}

// isUnfinished tells the objects that are not finished.
func (a *Appliance) isUnfinished() func(object string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	objects := a.unfinished.objects
	return func(object string) bool { return objects[object] }
}
