package lio

import (
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
)

// shown says whether a portal group makes dynamic ACLs, and which LUNs those
// see: all that it has.
func (e *Engine) shown(tpg string) (on bool, luns []config.LUN, err error) {
	gen, err := e.k.read(path.Join(tpg, "attrib/generate_node_acls"))
	if err != nil || gen != "1" {
		return false, nil, err
	}
	protect, err := e.k.read(path.Join(tpg, "attrib/demo_mode_write_protect"))
	if err != nil {
		return true, nil, err
	}
	links, err := e.portLUNs(tpg)
	for _, l := range links {
		luns = append(luns, config.LUN{LUN: l.number, Device: path.Base(l.to), ReadOnly: protect == "1"})
	}
	return true, luns, err
}

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
			return fmt.Errorf("device %s of the target is for initiators by name, and LIO would show it to everybody; give everybody a target of its own, or use engine: native or scst", path.Base(l.to))
		}
	}
	// All of them are read-only, or none: demo_mode_write_protect is one for
	// the portal group. Until all agree, the safe side holds.
	protect := slices.ContainsFunc(luns, func(l config.LUN) bool { return l.ReadOnly })
	if owner := w.luns(w.hasEverybody()); owner != nil {
		for _, l := range *owner {
			protect = protect || l.ReadOnly
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
	for _, l := range luns {
		lun := path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.LUN))
		_, to, err := e.k.link(lun)
		if err != nil {
			return err
		}
		if to != "" && path.Base(to) == l.Device {
			continue
		}
		if to != "" {
			if err := e.k.unlink(lun); err != nil {
				return err
			}
		}
		if err := e.leadTo(lun, l.Device, shownLink); err != nil {
			return err
		}
	}
	return e.k.set(path.Join(tpg, "attrib/generate_node_acls"), "1")
}

// hideAll ends dynamic ACLs with all that they see. Initiators that have one
// keep it, and find no LUN.
func (e *Engine) hideAll(w *targetWords, tpg string) error {
	if err := e.k.set(path.Join(tpg, "attrib/generate_node_acls"), "0"); err != nil {
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
		return e.k.set(path.Join(tpg, "attrib/generate_node_acls"), "0")
	}
	return nil
}
