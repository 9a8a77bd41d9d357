package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
)

// shown says whether a portal group makes dynamic ACLs, and which LUNs those
// see: all that it has.
func (e *Engine) shown(tpg string) (on bool, luns []config.LUN, err error) {
	protect := "0"
	switch placeAt(tpg).strange {
	case refused:
		return false, nil, nil
	case onDemand:
		if on, err = e.generates(tpg); err != nil || !on {
			return false, nil, err
		}
		if protect, err = e.k.read(path.Join(tpg, "attrib/demo_mode_write_protect")); err != nil {
			return true, nil, err
		}
	}
	links, err := e.portLUNs(tpg)
	for _, l := range links {
		luns = append(luns, config.LUN{LUN: l.number, Device: path.Base(l.to), ReadOnly: protect == "1"})
	}
	return true, luns, err
}

// generates says whether a portal group makes ACLs for initiators that have
// none, and lets those see LUNs: on Fibre Channel that are two settings.
func (e *Engine) generates(tpg string) (bool, error) {
	gen, err := e.k.read(path.Join(tpg, "attrib/generate_node_acls"))
	if err != nil || gen != "1" {
		return false, err
	}
	only, err := e.k.read(path.Join(tpg, loginOnly))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return only == "0", err
}

const loginOnly = "attrib/demo_mode_login_only"

// portLUN is a LUN of a portal group.
type portLUN struct {
	number   int
	name, to string // of its link
}

// portLUNs lists the LUNs of a portal group that lead somewhere, by number.
func (e *Engine) portLUNs(tpg string) ([]portLUN, error) {
	names, err := e.k.list(path.Join(tpg, "lun"))
	if err != nil {
		return nil, err
	}
	var luns []portLUN
	for _, name := range names {
		n, ok := numbered(name, "lun_")
		if !ok {
			continue
		}
		link, to, err := e.k.link(path.Join(tpg, "lun", name))
		if err != nil {
			return nil, err
		}
		if to != "" {
			luns = append(luns, portLUN{n, link, to})
		}
	}
	slices.SortFunc(luns, func(a, b portLUN) int { return a.number - b.number })
	return luns, nil
}

// showAll adds LUNs to what dynamic ACLs see, and has the portal group make
// such ACLs.
func (e *Engine) showAll(w *targetWords, tpg string, luns []config.LUN) error {
	have, err := e.portLUNs(tpg)
	if err != nil {
		return err
	}
	on, _, err := e.shown(tpg)
	if err != nil {
		return err
	}
	for _, l := range have {
		if !on && l.name != shownLink {
			return fmt.Errorf("device %s of the target is for initiators by name, and LIO would show it to everybody; give everybody a target of its own, or use engine: %s", path.Base(l.to), w.place().elsewhere())
		}
	}
	switch f := w.place().fabric; f.strange {
	case refused:
		return fmt.Errorf("LIO lets no initiator in over %s that it does not know by name; name initiators in a group, or use engine: scst", f.driver.Human())
	case onDemand:
		if err := e.protectShown(w, tpg, luns, have); err != nil {
			return err
		}
	case allowed:
		if slices.ContainsFunc(luns, func(l config.LUN) bool { return l.ReadOnly }) {
			return errors.New(noLocalReadOnly)
		}
		if open, err := e.gateOpen(tpg); err != nil || !open {
			return err // see setNexus
		}
	}
	for _, l := range luns {
		if err := e.show(tpg, l); err != nil {
			return err
		}
	}
	if w.place().strange != onDemand {
		return nil
	}
	if err := e.k.setIfThere(path.Join(tpg, loginOnly), "0"); err != nil {
		return err
	}
	return e.k.set(path.Join(tpg, "attrib/generate_node_acls"), "1")
}

const noLocalReadOnly = "LIO cannot show this machine a LUN read-only; use a read-only device, or engine: scst"

// show leads a LUN that everybody sees to its device.
func (e *Engine) show(tpg string, l config.LUN) error {
	lun := path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.LUN))
	_, to, err := e.k.link(lun)
	if err != nil || to != "" && path.Base(to) == l.Device {
		return err
	}
	if to != "" {
		if err := e.k.unlink(lun); err != nil {
			return err
		}
	}
	return e.leadTo(lun, l.Device, shownLink)
}

// protectShown sets what dynamic ACLs may do with LUNs, old ones and new ones.
func (e *Engine) protectShown(w *targetWords, tpg string, luns []config.LUN, have []portLUN) error {
	// All of them are read-only, or none: demo_mode_write_protect is one for
	// the portal group. Until all agree, the safe side holds.
	protect := slices.ContainsFunc(luns, func(l config.LUN) bool { return l.ReadOnly })
	if owner := w.luns(w.hasEverybody()); owner != nil {
		for _, l := range *owner {
			protect = protect || l.ReadOnly
		}
	}
	if protect {
		for _, l := range luns {
			if err := e.guard(l.Device); err != nil {
				return err
			}
		}
		for _, l := range have {
			if err := e.guard(path.Base(l.to)); err != nil {
				return err
			}
		}
	}
	file := path.Join(tpg, "attrib/demo_mode_write_protect")
	now, err := e.k.read(file)
	if err != nil {
		return err
	}
	if err := e.k.set(file, digit(protect)); err != nil {
		return err
	}
	// Reservations of a dynamic ACL live as long as it does; it must outlive
	// its session.
	if err := e.k.set(path.Join(tpg, "attrib/cache_dynamic_acls"), "1"); err != nil {
		return err
	}
	if now != digit(protect) {
		// It holds for LUNs from when they are linked (core_tpg_add_node_to_devs).
		for _, l := range have {
			lun := path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.number))
			if err := e.k.Remove(path.Join(lun, l.name)); err != nil {
				return err
			}
			if err := e.leadTo(lun, path.Base(l.to), shownLink); err != nil {
				return err
			}
		}
	}
	return nil
}

// hideAll ends dynamic ACLs with all that they see. Initiators that have one
// keep it, and find no LUN.
func (e *Engine) hideAll(w *targetWords, tpg string) error {
	if err := e.k.setIfThere(path.Join(tpg, "attrib/generate_node_acls"), "0"); err != nil {
		return err
	}
	luns, err := e.portLUNs(tpg)
	if err != nil {
		return err
	}
	for _, l := range luns {
		if l.name == shownLink {
			if err := e.k.unlink(path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.number))); err != nil {
				return err
			}
		}
	}
	return nil
}

// hide takes one LUN from what dynamic ACLs see. The last one of a target's
// own LUNs ends them: strangers are not let in to see nothing.
func (e *Engine) hide(w *targetWords, tpg string, lun int) error {
	at := path.Join(tpg, "lun", "lun_"+strconv.Itoa(lun))
	on, luns, err := e.shown(tpg)
	if err != nil {
		return err
	}
	name, _, err := e.k.link(at)
	if err != nil {
		return err
	}
	if !on && name != shownLink && name != "" {
		return nil // one of an ACL's, by its number
	}
	if err := e.k.unlink(at); err != nil {
		return err
	}
	left := slices.DeleteFunc(luns, func(l config.LUN) bool { return l.LUN == lun })
	if on && len(left) == 0 && w.hasEverybody() == "" {
		return e.k.setIfThere(path.Join(tpg, "attrib/generate_node_acls"), "0")
	}
	return nil
}
