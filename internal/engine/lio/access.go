package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// everybody is the one pattern that LIO has: initiators without an ACL get one
// when they log in (generate_node_acls). Such dynamic ACLs see all LUNs of
// their portal group.
const everybody = "*"

// deviates marks a part of the tree that is not the same in all portal groups
// of a target, or for all initiators of a group: somebody changed it by hand,
// or a change was cut off. It differs from whatever is declared, so that the
// next plan mends it.
const deviates = engine.NotEverywhere

// aclSettings are the files of an ACL besides its credentials.
func (w *targetWords) aclSettings() []setting {
	p := w.Target.Parameters
	interval := count(p.NopInInterval)
	if p.NopInInterval < 0 {
		interval = "0"
	}
	all := []setting{
		w.optional("attrib/nopin_timeout", interval),
		w.optional("attrib/nopin_response_timeout", count(p.NopInTimeout)),
		{"cmdsn_depth", w.optional("attrib/default_cmdsn_depth", count(p.QueuedCommands)).value},
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.value == "" })
}

// configureACL sets what of a target's settings the kernel keeps by initiator.
func (e *Engine) configureACL(w *targetWords, tpg, initiator string) error {
	if !w.place().portals() {
		return nil // it is a name there, and no more
	}
	at := path.Join(tpg, "acls", initiator)
	if _, noted := w.Was["attrib/nopin_timeout"]; !noted && w.Was != nil {
		for _, file := range []string{"attrib/nopin_timeout", "attrib/nopin_response_timeout"} {
			v, err := e.k.read(path.Join(at, file))
			if err != nil {
				return err
			}
			w.Was[file] = v
		}
		if err := e.words.putTarget(*w); err != nil {
			return err
		}
	}
	for _, s := range w.aclSettings() {
		if err := e.setSetting(at, s); err != nil {
			return err
		}
	}
	c, err := credentialsFor(w.Target.Auth, initiator)
	if err != nil {
		return err
	}
	return e.setCredentials(path.Join(at, "auth"), c)
}

// groupOf is the host group that an ACL belongs to: its tag, or one that is
// named after the initiator for one that is not ours. ACLs of some fabrics have
// no tag; words say it then.
func (e *Engine) groupOf(tpg, initiator string) (string, error) {
	tag, err := e.k.read(path.Join(tpg, "acls", initiator, "tag"))
	switch {
	case err == nil && tag != "":
		return tag, nil
	case err == nil, !errors.Is(err, fs.ErrNotExist):
		return handName(initiator), err
	}
	w, err := e.words.target(placeAt(tpg))
	for _, g := range w.Target.Groups {
		if slices.Contains(g.Initiators, initiator) {
			return g.Name, err
		}
	}
	return initiator, err
}

// aclsOf are the initiators of a host group in a portal group.
func (e *Engine) aclsOf(tpg, group string) ([]string, error) {
	names, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return nil, err
	}
	var mine []string
	for _, name := range names {
		g, err := e.groupOf(tpg, name)
		if err != nil {
			return nil, err
		}
		if g == group {
			mine = append(mine, name)
		}
	}
	return mine, nil
}

// putACL makes an ACL of a group, or moves it there.
func (e *Engine) putACL(w *targetWords, tpg, group, initiator string) error {
	at := path.Join(tpg, "acls", initiator)
	if err := e.k.mkdir(at); err != nil {
		return err
	}
	if err := e.configureACL(w, tpg, initiator); err != nil {
		return err
	}
	if now, err := e.groupOf(tpg, initiator); err != nil || now == group {
		return err
	}
	return e.k.setIfThere(path.Join(at, "tag"), group)
}

// dropACL ends an ACL and with it the sessions of its initiator.
func (e *Engine) dropACL(tpg, initiator string) error {
	at := path.Join(tpg, "acls", initiator)
	names, err := e.k.list(at)
	if err != nil {
		return err
	}
	var used []string
	for _, name := range names {
		if _, ok := numbered(name, "lun_"); !ok {
			continue
		}
		_, to, err := e.k.link(path.Join(at, name))
		if err != nil {
			return err
		}
		used = append(used, to)
		if err := e.k.unlink(path.Join(at, name)); err != nil {
			return err
		}
	}
	if err := e.k.rmdir(at); err != nil {
		return err
	}
	return e.dropUnused(tpg, used...)
}

// PutGroup implements engine.Engine. The LUNs of the group go to its new
// initiators too.
func (e *Engine) PutGroup(_ context.Context, target string, g config.Group) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.releasing(target, func() error { return e.putGroup(target, g) }); err != nil {
		return fmt.Errorf("put group %s of target %s: %w", g.Name, target, err)
	}
	return nil
}

// served reads the words of a target that must be there, and its tags.
func (e *Engine) served(target string) (targetWords, []int, error) {
	p, there, err := e.locate(target)
	if err != nil {
		return targetWords{}, nil, err
	}
	if !there {
		return targetWords{}, nil, errors.New("there is no such target")
	}
	w, err := e.words.target(p)
	if err != nil {
		return w, nil, err
	}
	tags, err := e.tags(p)
	return w, tags, err
}

func (e *Engine) putGroup(target string, g config.Group) error {
	w, tags, err := e.served(target)
	if err != nil {
		return err
	}
	initiators := make([]string, len(g.Initiators))
	for i, name := range g.Initiators {
		initiators[i] = strings.TrimSuffix(name, deviates)
	}
	g.Initiators, g.Attributes = initiators, attribute.Bare(g.Attributes)
	if errs := groupProblems(g, w.place().fabric); len(errs) > 0 {
		return errors.Join(errs...)
	}
	luns, err := e.lunsOf(&w, tags, g.Name)
	if err != nil {
		return err
	}
	old := w.group(g.Name)
	before, after := old != nil && slices.Contains(old.Initiators, everybody), slices.Contains(g.Initiators, everybody)
	have := map[int][]string{}
	for _, tag := range tags {
		if have[tag], err = e.aclsOf(w.place().tpg(tag), g.Name); err != nil {
			return err
		}
	}
	// The LUNs are in the words as long as the tree may not have them.
	g.LUNs = luns
	w.takeFromOthers(g)
	if old != nil {
		*old = g
	} else {
		w.Target.Groups = append(w.Target.Groups, g)
	}
	static := !after && len(g.Initiators) > 0
	if before != after || !static || old == nil || !w.place().portals() {
		if err := e.words.putTarget(w); err != nil {
			return err
		}
	}
	for _, tag := range tags {
		tpg := w.place().tpg(tag)
		if before && !after {
			if err := e.hideAll(&w, tpg); err != nil {
				return err
			}
		}
		if err := e.setACLs(&w, tpg, g, have[tag]); err != nil {
			return err
		}
		if err := e.putACLAttributes(&w, tpg); err != nil {
			return err
		}
		if after {
			if err := e.showAll(&w, tpg, luns); err != nil {
				return err
			}
		}
	}
	if static {
		w.group(g.Name).LUNs = nil
	}
	w.forgetAttributes()
	return e.words.putTarget(w)
}

// takeFromOthers has the words of no other group name the initiators of g: one
// is in one group, and may move.
func (w *targetWords) takeFromOthers(g config.Group) {
	for i := range w.Target.Groups {
		if o := &w.Target.Groups[i]; o.Name != g.Name {
			o.Initiators = slices.DeleteFunc(o.Initiators, func(name string) bool {
				return name != everybody && slices.Contains(g.Initiators, name)
			})
		}
	}
}

// setACLs brings a group's ACLs, which it has for these initiators, to those
// that it is to have.
func (e *Engine) setACLs(w *targetWords, tpg string, g config.Group, have []string) error {
	for _, initiator := range g.Initiators {
		if initiator == everybody {
			continue
		}
		at := path.Join(tpg, "acls", initiator)
		there, err := e.k.exists(at)
		if err != nil {
			return err
		}
		if there && !slices.Contains(have, initiator) {
			// It was in another group: nothing of that group's LUNs may stay.
			if err := e.dropACL(tpg, initiator); err != nil {
				return err
			}
		}
		if err := e.putACL(w, tpg, g.Name, initiator); err != nil {
			return err
		}
		for _, l := range g.LUNs {
			if err := e.mapLUN(tpg, initiator, l); err != nil {
				return err
			}
		}
	}
	for _, initiator := range have {
		if !slices.Contains(g.Initiators, initiator) {
			if err := e.dropACL(tpg, initiator); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeleteGroup implements engine.Engine.
func (e *Engine) DeleteGroup(_ context.Context, target, group string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.releasing(target, func() error { return e.deleteGroup(target, group) }); err != nil {
		return fmt.Errorf("delete group %s of target %s: %w", group, target, err)
	}
	return nil
}

func (e *Engine) deleteGroup(target, group string) error {
	_, there, err := e.locate(target)
	if err != nil || !there {
		return err
	}
	w, tags, err := e.served(target)
	if err != nil {
		return err
	}
	old := w.group(group)
	for _, tag := range tags {
		tpg := w.place().tpg(tag)
		if old != nil && slices.Contains(old.Initiators, everybody) {
			if err := e.hideAll(&w, tpg); err != nil {
				return err
			}
		}
		acls, err := e.aclsOf(tpg, group)
		if err != nil {
			return err
		}
		for _, initiator := range acls {
			if err := e.dropACL(tpg, initiator); err != nil {
				return err
			}
		}
	}
	if old == nil {
		return nil
	}
	w.Target.Groups = slices.DeleteFunc(w.Target.Groups, func(g config.Group) bool { return g.Name == group })
	return e.words.putTarget(w)
}

// copyAccess gives a portal group that has none yet the ACLs and LUNs of the
// target's first one.
func (e *Engine) copyAccess(w *targetWords, tag int) error {
	tags, err := e.tags(w.place())
	if err != nil || len(tags) < 2 {
		return err
	}
	from, to := w.place().tpg(tags[0]), w.place().tpg(tag)
	if tags[0] == tag {
		from = w.place().tpg(tags[1])
	}
	for _, dir := range []string{"acls", "lun"} {
		if have, err := e.k.list(path.Join(to, dir)); err != nil || len(have) > 0 {
			return err
		}
	}
	acls, err := e.k.list(path.Join(from, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		group, err := e.groupOf(from, initiator)
		if err != nil {
			return err
		}
		luns, err := e.aclLUNs(from, initiator)
		if err != nil {
			return err
		}
		if err := e.putACL(w, to, group, initiator); err != nil {
			return err
		}
		for _, l := range luns {
			if err := e.mapLUN(to, initiator, l); err != nil {
				return err
			}
		}
	}
	shown, luns, err := e.shown(from)
	if err != nil || !shown {
		return err
	}
	return e.showAll(w, to, luns)
}
