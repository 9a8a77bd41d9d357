package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
)

// EXTENDED COPY writes to any disk that its initiator sees, whether its LUN is
// read-only: the kernel asks only whether the disk takes part in copies at all
// (target_xcopy_locate_se_dev_e4_iter). So a disk that some LUN shows read-only
// takes part in none.

const copies = "attrib/emulate_3pc"

// guard takes a device out of copies. That is done before a LUN shows it
// read-only.
func (e *Engine) guard(device string) error {
	at, err := e.find(device)
	if err != nil || at == "" {
		return err
	}
	err = e.k.set(path.Join(at, copies), "0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a SCSI device that is passed on: its own copies are its own
	}
	if err != nil {
		return fmt.Errorf("keep EXTENDED COPY from writing to device %s: %w", device, err)
	}
	return nil
}

// releasing makes a change that may take LUNs of a target away, and unguards
// what they led to.
func (e *Engine) releasing(target string, change func() error) error {
	p, there, err := e.locate(target)
	if err != nil || !there {
		return errors.Join(err, change())
	}
	tags, err := e.tags(p)
	if err != nil {
		return err
	}
	led := map[string]bool{}
	for _, tag := range tags {
		luns, err := e.portLUNs(p.tpg(tag))
		if err != nil {
			return err
		}
		for _, l := range luns {
			led[path.Base(l.to)] = true
		}
	}
	if err := change(); err != nil {
		return err
	}
	for _, device := range slices.Sorted(maps.Keys(led)) {
		if err := e.unguard(device); err != nil {
			return err
		}
	}
	return nil
}

// unguard lets a device take part in copies again, unless a LUN still shows it
// read-only.
func (e *Engine) unguard(device string) error {
	at, err := e.find(device)
	if err != nil || at == "" {
		return err
	}
	now, err := e.k.read(path.Join(at, copies))
	if errors.Is(err, fs.ErrNotExist) || err == nil && now != "0" {
		return nil
	}
	if err != nil {
		return err
	}
	shown, err := e.readOnlySomewhere(at)
	if err != nil || shown {
		return err
	}
	return e.k.set(path.Join(at, copies), "1")
}

// readOnlySomewhere says whether a LUN shows a device read-only.
func (e *Engine) readOnlySomewhere(device string) (found bool, err error) {
	err = e.eachTarget(func(p place) error {
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if found {
				return nil
			}
			if found, err = e.readOnlyIn(p.tpg(tag), device); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

func (e *Engine) readOnlyIn(tpg, device string) (bool, error) {
	_, luns, err := e.shown(tpg)
	if err != nil {
		return false, err
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return false, err
	}
	for _, initiator := range acls {
		more, err := e.aclLUNs(tpg, initiator)
		if err != nil {
			return false, err
		}
		luns = append(luns, more...)
	}
	for _, l := range luns {
		if l.ReadOnly && l.Device == path.Base(device) {
			return true, nil
		}
	}
	return false, nil
}
