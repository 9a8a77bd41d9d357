package scst

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// groups lists the host groups of a target.
func (e *Engine) groups(p place) ([]string, error) {
	return e.k.list(path.Join(p.path(), "ini_groups"))
}

// initiators lists the patterns of a host group.
func (e *Engine) initiators(p place, group string) ([]string, error) {
	return e.k.list(path.Join(p.group(group), "initiators"))
}

// PutGroup implements engine.Engine.
func (e *Engine) PutGroup(ctx context.Context, target string, g config.Group) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putGroup(ctx, target, g); err != nil {
		return fmt.Errorf("put group %s of target %s: %w", g.Name, target, err)
	}
	return nil
}

func (e *Engine) putGroup(ctx context.Context, target string, g config.Group) error {
	p, there, err := e.locate(target)
	if err != nil {
		return err
	}
	if !there {
		return errors.New("there is no such target")
	}
	if err := groupProblems(p.driver, g).join(); err != nil {
		return err
	}
	w, err := e.target(p)
	if err != nil {
		return err
	}
	g.Attributes = attribute.Bare(g.Attributes)
	if there, err = e.k.exists(p.group(g.Name)); err != nil {
		return err
	}
	if !there { // words of one that is gone say nothing of this one
		delete(w.GroupAttributes, g.Name)
	}
	if old := w.group(g.Name); old != nil {
		old.Initiators, old.Attributes = g.Initiators, g.Attributes
	} else {
		w.Target.Groups = append(w.Target.Groups, config.Group{Name: g.Name, Initiators: g.Initiators, Attributes: g.Attributes})
	}
	if w.ours() || len(g.Attributes) > 0 {
		if err := e.keep(w); err != nil {
			return err
		}
	}
	if !there {
		if err := e.k.write(ctx, path.Join(p.path(), "ini_groups/mgmt"), "create "+g.Name); err != nil {
			return err
		}
	}
	if err := e.putGroupAttributes(ctx, p, &w, g.Name); err != nil {
		return err
	}
	changed, err := e.setInitiators(ctx, p, g)
	if err != nil || !changed {
		return err
	}
	return e.rebind(ctx, p)
}

// setInitiators brings a group's patterns to what they should be. An initiator
// that another group has moves over from there in one request, so that it
// never matches nothing.
func (e *Engine) setInitiators(ctx context.Context, p place, g config.Group) (changed bool, err error) {
	have, err := e.initiators(p, g.Name)
	if err != nil {
		return false, err
	}
	groups, err := e.groups(p)
	if err != nil {
		return false, err
	}
	elsewhere := map[string]string{}
	for _, other := range groups {
		if other == g.Name {
			continue
		}
		names, err := e.initiators(p, other)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			elsewhere[name] = other
		}
	}
	for _, name := range g.Initiators {
		if slices.Contains(have, name) {
			continue
		}
		changed = true
		if other := elsewhere[name]; other != "" {
			err = e.k.write(ctx, path.Join(p.group(other), "initiators/mgmt"), "move "+name+" "+g.Name)
		} else {
			err = e.k.write(ctx, path.Join(p.group(g.Name), "initiators/mgmt"), "add "+name)
		}
		if err != nil {
			return changed, fmt.Errorf("initiator %s: %w", name, err)
		}
	}
	for _, name := range have {
		if slices.Contains(g.Initiators, name) {
			continue
		}
		changed = true
		if err := e.k.write(ctx, path.Join(p.group(g.Name), "initiators/mgmt"), "del "+name); err != nil {
			return changed, fmt.Errorf("initiator %s: %w", name, err)
		}
	}
	return changed, nil
}

// rebind ends sessions that see the LUNs of a group which is not theirs any
// more: a session belongs to a group since it logged in. Initiators log in
// again by themselves. One that sees no LUN yet is ended, too, if a group is
// for it now; nothing of it is disturbed.
func (e *Engine) rebind(ctx context.Context, p place) error {
	groups, err := e.groups(p)
	if err != nil {
		return err
	}
	patterns := map[string][]string{}
	for _, g := range groups {
		if patterns[g], err = e.initiators(p, g); err != nil {
			return err
		}
	}
	seen, err := e.k.list(p.luns(""))
	if err != nil {
		return err
	}
	return e.closeSome(ctx, p, func(group, initiator string) bool {
		if group != "" {
			return !matches(patterns[group], initiator)
		}
		for _, g := range groups {
			if matches(patterns[g], initiator) {
				return len(seen) == 0
			}
		}
		return false
	})
}

// matches says whether SCST takes an initiator into a group with some patterns.
func matches(patterns []string, initiator string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return wild(p, initiator) })
}

// wild is SCST's own comparison (wildcmp): without regard to case, and a
// leading "!" turns the pattern around.
func wild(pattern, name string) bool {
	if rest, not := strings.CutPrefix(pattern, "!"); not {
		return !wild(rest, name)
	}
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	var star, from = -1, 0
	i := 0
	for j := 0; j < len(name); {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == name[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// DeleteGroup implements engine.Engine. SCST keeps a group that somebody is
// logged in through (EBUSY): those sessions end.
func (e *Engine) DeleteGroup(ctx context.Context, target, group string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.deleteGroup(ctx, target, group); err != nil {
		return fmt.Errorf("delete group %s of target %s: %w", group, target, err)
	}
	return nil
}

func (e *Engine) deleteGroup(ctx context.Context, target, group string) error {
	p, there, err := e.locate(target)
	if err != nil || !there {
		return err
	}
	if there, err = e.k.exists(p.group(group)); err != nil {
		return err
	}
	if there {
		// Without patterns nobody logs in to it again.
		names, err := e.initiators(p, group)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			if err := e.k.write(ctx, path.Join(p.group(group), "initiators/mgmt"), "clear"); err != nil {
				return err
			}
		}
		if err := e.closeAll(ctx, p, func(g string) bool { return g == group }); err != nil {
			return err
		}
		if err := e.k.write(ctx, path.Join(p.path(), "ini_groups/mgmt"), "del "+group); err != nil {
			return err
		}
	}
	w, err := e.target(p)
	if err != nil || w.group(group) == nil {
		return err
	}
	delete(w.GroupAttributes, group)
	w.Target.Groups = slices.DeleteFunc(w.Target.Groups, func(g config.Group) bool { return g.Name == group })
	return e.keep(w)
}
