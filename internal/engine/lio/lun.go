package lio

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// LUNs of a portal group are what its LUN maps are made of. Initiators with an
// ACL see them only by the numbers of their ACL; those of dynamic ACLs see
// each by its own number. So the ones that ACLs lead to have numbers above all
// that a map can have, which follow from the device's name: reservations that
// outlive a boot name them (core_scsi3_check_aptpl_registration).
const (
	firstHidden = 1 << 14
	hidden      = 1<<16 - firstHidden // rtslib takes none above 65535
)

// shownLink is the name of the link in a LUN that is for dynamic ACLs.
const shownLink = "everybody"

// PutLUN implements engine.Engine.
func (e *Engine) PutLUN(_ context.Context, target, group string, l config.LUN) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	l.Device = strings.TrimSuffix(l.Device, deviates)
	err := e.putLUN(target, group, l)
	if err == nil && !l.ReadOnly {
		err = e.unguard(l.Device)
	}
	if err != nil {
		return fmt.Errorf("put LUN %d of %s: %w", l.LUN, engine.LUNMap(target, group), err)
	}
	return nil
}

func (e *Engine) putLUN(target, group string, l config.LUN) error {
	w, tags, err := e.served(target)
	if err != nil {
		return err
	}
	if l.LUN < 0 || l.LUN >= firstHidden {
		return fmt.Errorf("a LUN is 0 to %d", firstHidden-1)
	}
	at, err := e.find(l.Device)
	if err != nil {
		return err
	}
	if at == "" {
		return fmt.Errorf("there is no device %s", l.Device)
	}
	acls, err := e.everyACL(w.place(), tags, group)
	if err != nil {
		return err
	}
	if len(acls) > 0 {
		for _, a := range acls {
			if err := e.mapLUN(a.tpg, a.initiator, l); err != nil {
				return err
			}
		}
		return nil
	}
	words := w.luns(group)
	if words == nil {
		return fmt.Errorf("there is no group %s", group)
	}
	setLUN(words, l)
	if err := e.words.putTarget(w); err != nil {
		return err
	}
	if g := w.group(group); g != nil && !slices.Contains(g.Initiators, everybody) {
		return nil // the group has no initiators: that is all there is of it
	}
	if group == "" && w.hasEverybody() != "" {
		return fmt.Errorf("group %s is for every initiator, so nobody is left for the target's own LUNs", w.hasEverybody())
	}
	for _, tag := range tags {
		if err := e.showAll(&w, w.place().tpg(tag), []config.LUN{l}); err != nil {
			return err
		}
	}
	return nil
}

func setLUN(luns *[]config.LUN, l config.LUN) {
	if i := slices.IndexFunc(*luns, func(o config.LUN) bool { return o.LUN == l.LUN }); i >= 0 {
		(*luns)[i] = l
		return
	}
	*luns = append(*luns, l)
}

// hasEverybody is the group that every initiator is in; "" if there is none.
func (w *targetWords) hasEverybody() string {
	for _, g := range w.Target.Groups {
		if slices.Contains(g.Initiators, everybody) {
			return g.Name
		}
	}
	return ""
}

// acl is one ACL.
type acl struct{ tpg, initiator string }

// everyACL lists a group's ACLs in all portal groups.
func (e *Engine) everyACL(p place, tags []int, group string) ([]acl, error) {
	if group == "" {
		return nil, nil
	}
	var acls []acl
	for _, tag := range tags {
		tpg := p.tpg(tag)
		names, err := e.aclsOf(tpg, group)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			acls = append(acls, acl{tpg, name})
		}
	}
	return acls, nil
}

// mapLUN leads a LUN of an ACL to a device.
func (e *Engine) mapLUN(tpg, initiator string, l config.LUN) error {
	lun, err := e.export(tpg, l.Device)
	if err != nil {
		return err
	}
	at := path.Join(tpg, "acls", initiator, "lun_"+strconv.Itoa(l.LUN))
	_, to, err := e.k.link(at)
	if err != nil {
		return err
	}
	if l.ReadOnly {
		if err := e.guard(l.Device); err != nil {
			return err
		}
	}
	protect := path.Join(at, "write_protect")
	if to == lun {
		return e.k.set(protect, digit(l.ReadOnly))
	}
	if to != "" {
		if err := e.k.unlink(at); err != nil {
			return err
		}
		if err := e.dropUnused(tpg, to); err != nil {
			return err
		}
	}
	if err := e.k.mkdir(at); err != nil {
		return err
	}
	// A LUN can be written from the moment that its link is there, and cannot
	// be protected before (core_update_device_list_access), unless the portal
	// group protects new ones (target_fabric_mappedlun_link).
	protectNew := path.Join(tpg, "attrib/prod_mode_write_protect")
	if protects := placeAt(tpg).protects; l.ReadOnly && protects {
		if err := e.k.set(protectNew, "1"); err != nil {
			return err
		}
	}
	if err := e.k.Symlink(lun, path.Join(at, l.Device)); err != nil {
		return err
	}
	if err := e.k.set(protect, digit(l.ReadOnly)); err != nil {
		return err
	}
	if l.ReadOnly && placeAt(tpg).protects {
		return e.k.set(protectNew, "0")
	}
	return nil
}

// export returns the LUN of a portal group that ACLs reach a device by.
func (e *Engine) export(tpg, device string) (string, error) {
	on, luns, err := e.shown(tpg)
	if err != nil {
		return "", err
	}
	if on && len(luns) > 0 {
		return "", fmt.Errorf("the target shows LUNs to every initiator, and LIO would show them this one too; put it on a target of its own, or use engine: %s", placeAt(tpg).elsewhere())
	}
	if on {
		w, err := e.words.target(placeAt(tpg))
		if err != nil {
			return "", err
		}
		if g := w.hasEverybody(); g != "" {
			return "", fmt.Errorf("group %s is for every initiator, and LIO would show them this LUN too; put it on a target of its own, or use engine: %s", g, placeAt(tpg).elsewhere())
		}
		if err := e.k.set(path.Join(tpg, "attrib/generate_node_acls"), "0"); err != nil {
			return "", err
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(device))
	start := int(h.Sum32() % hidden)
	for i := range hidden {
		lun := path.Join(tpg, "lun", "lun_"+strconv.Itoa(firstHidden+(start+i)%hidden))
		_, to, err := e.k.link(lun)
		switch {
		case err != nil:
			return "", err
		case to == "":
			return lun, e.leadTo(lun, device, device)
		case path.Base(to) == device:
			return lun, e.bind(lun, to)
		}
	}
	return "", errors.New("the portal group has all the LUNs that it can have")
}

// leadTo makes a LUN of a portal group lead to a device.
func (e *Engine) leadTo(lun, device, name string) error {
	at, err := e.find(device)
	if err != nil {
		return err
	}
	if at == "" {
		return fmt.Errorf("there is no device %s", device)
	}
	if err := e.k.mkdir(lun); err != nil {
		return err
	}
	if err := e.k.Symlink(at, path.Join(lun, name)); err != nil {
		return err
	}
	return e.bind(lun, at)
}

// dropUnused removes those of a portal group's LUNs that no ACL leads to any
// more: taking one away that is in use would take it from its initiators.
func (e *Engine) dropUnused(tpg string, luns ...string) error {
	left := map[string]bool{}
	for _, l := range luns {
		if l != "" {
			left[l] = true
		}
	}
	if len(left) == 0 {
		return nil
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		at := path.Join(tpg, "acls", initiator)
		names, err := e.k.list(at)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, ok := numbered(name, "lun_"); ok {
				_, to, err := e.k.link(path.Join(at, name))
				if err != nil {
					return err
				}
				delete(left, to)
			}
		}
	}
	for lun := range left {
		if err := e.k.unlink(lun); err != nil {
			return err
		}
	}
	return nil
}

// DeleteLUN implements engine.Engine.
func (e *Engine) DeleteLUN(_ context.Context, target, group string, lun int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.releasing(target, func() error { return e.deleteLUN(target, group, lun) }); err != nil {
		return fmt.Errorf("delete LUN %d of %s: %w", lun, engine.LUNMap(target, group), err)
	}
	return nil
}

func (e *Engine) deleteLUN(target, group string, lun int) error {
	_, there, err := e.locate(target)
	if err != nil || !there {
		return err
	}
	w, tags, err := e.served(target)
	if err != nil {
		return err
	}
	acls, err := e.everyACL(w.place(), tags, group)
	if err != nil {
		return err
	}
	for _, a := range acls {
		at := path.Join(a.tpg, "acls", a.initiator, "lun_"+strconv.Itoa(lun))
		_, to, err := e.k.link(at)
		if err != nil {
			return err
		}
		if err := e.k.unlink(at); err != nil {
			return err
		}
		if err := e.dropUnused(a.tpg, to); err != nil {
			return err
		}
	}
	words := w.luns(group)
	if words == nil || len(acls) > 0 {
		return nil
	}
	shown := group == "" && w.hasEverybody() == "" || group != "" && group == w.hasEverybody()
	if shown {
		for _, tag := range tags {
			if err := e.hide(&w, w.place().tpg(tag), lun); err != nil {
				return err
			}
		}
	}
	*words = slices.DeleteFunc(*words, func(l config.LUN) bool { return l.LUN == lun })
	return e.words.putTarget(w)
}

// aclLUNs reads the LUN map of an ACL.
func (e *Engine) aclLUNs(tpg, initiator string) ([]config.LUN, error) {
	at := path.Join(tpg, "acls", initiator)
	names, err := e.k.list(at)
	if err != nil {
		return nil, err
	}
	var luns []config.LUN
	for _, name := range names {
		n, ok := numbered(name, "lun_")
		if !ok {
			continue
		}
		_, lun, err := e.k.link(path.Join(at, name))
		if err != nil {
			return nil, err
		}
		if lun == "" {
			continue
		}
		_, to, err := e.k.link(lun)
		if err != nil {
			return nil, err
		}
		protect, err := e.k.read(path.Join(at, name, "write_protect"))
		if err != nil {
			return nil, err
		}
		luns = append(luns, config.LUN{LUN: n, Device: path.Base(to), ReadOnly: protect == "1"})
	}
	slices.SortFunc(luns, func(a, b config.LUN) int { return a.LUN - b.LUN })
	return luns, nil
}

// lunsOf is the LUN map of a group: that of its ACLs, else its words.
func (e *Engine) lunsOf(w *targetWords, tags []int, group string) ([]config.LUN, error) {
	acls, err := e.everyACL(w.place(), tags, group)
	if err != nil {
		return nil, err
	}
	if len(acls) > 0 {
		return e.aclLUNs(acls[0].tpg, acls[0].initiator)
	}
	if luns := w.luns(group); luns != nil {
		return slices.Clone(*luns), nil
	}
	return nil, nil
}

// userOf names a LUN that leads to a device; "" if none does.
func (e *Engine) userOf(device string) (user string, err error) {
	err = e.eachTarget(func(p place) error {
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			tpg := p.tpg(tag)
			luns, err := e.portLUNs(tpg)
			if err != nil {
				return err
			}
			for _, l := range luns {
				if l.to != device {
					continue
				}
				if user = fmt.Sprintf("LUN %d of target %s", l.number, p.name); l.number < firstHidden {
					return nil
				}
				return e.mappedBy(tpg, p.name, path.Base(device), &user)
			}
		}
		return nil
	})
	return user, err
}

// mappedBy names the group whose LUN leads to a device.
func (e *Engine) mappedBy(tpg, target, device string, user *string) error {
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		luns, err := e.aclLUNs(tpg, initiator)
		if err != nil {
			return err
		}
		for _, l := range luns {
			if l.Device == device {
				group, err := e.groupOf(tpg, initiator)
				*user = fmt.Sprintf("LUN %d of %s", l.LUN, engine.LUNMap(target, group))
				return err
			}
		}
	}
	return nil
}
