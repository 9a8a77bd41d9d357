package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// mostLUNs is the largest LUN (SCST_MAX_LUN).
const mostLUNs = 16383

// PutLUN implements engine.Engine. A LUN that leads to another device is
// replaced in one request, of which initiators hear (INQUIRY DATA HAS CHANGED).
func (e *Engine) PutLUN(ctx context.Context, target, group string, l config.LUN) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putLUN(ctx, target, group, l); err != nil {
		return fmt.Errorf("put LUN %d of %s: %w", l.LUN, engine.LUNMap(target, group), err)
	}
	return nil
}

func (e *Engine) putLUN(ctx context.Context, target, group string, l config.LUN) error {
	if l.LUN < 0 || l.LUN > mostLUNs {
		return fmt.Errorf("SCST has LUNs 0 to %d", mostLUNs)
	}
	p, err := e.mapOf(target, group)
	if err != nil {
		return err
	}
	device, err := e.kernelName(l.Device)
	if err != nil {
		return err
	}
	readOnly, there, err := e.k.optional(ctx, path.Join("devices", device, "read_only"))
	if err != nil {
		return err
	}
	if !there { // a SCSI device that is passed on has no such attribute
		if _, err := e.k.Readlink(path.Join("devices", device, "handler")); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no device %s", l.Device)
		} else if err != nil {
			return err
		}
	}
	if err := e.noteReadOnly(p, group, l, readOnly == "1"); err != nil {
		return err
	}
	have, there, err := e.lunAt(ctx, p.luns(group), l.LUN)
	if err != nil || there && have.device == device && have.ReadOnly == (l.ReadOnly || readOnly == "1") {
		return err
	}
	verb := "add"
	if there {
		verb = "replace"
	}
	text := fmt.Sprintf("%s %s %d", verb, device, l.LUN)
	if l.ReadOnly {
		text += " read_only=1"
	}
	if err := e.k.write(ctx, path.Join(p.luns(group), "mgmt"), text); err != nil {
		return err
	}
	if zero, err := e.k.exists(path.Join(p.luns(group), "0")); err == nil && !zero {
		e.log.Warn("a LUN map without LUN 0: some initiators find none of the others", "target", target, "group", group, "lun", l.LUN)
	}
	return nil
}

// mapOf finds a LUN map that must be there.
func (e *Engine) mapOf(target, group string) (place, error) {
	p, there, err := e.locate(target)
	if err != nil {
		return p, err
	}
	if !there {
		return p, errors.New("there is no such target")
	}
	if there, err = e.k.exists(p.luns(group)); err == nil && !there {
		err = errors.New("there is no such group")
	}
	return p, err
}

// noteReadOnly takes note of a LUN that is read-only twice. SCST tells that it
// is, but not whether because of the device or of the LUN.
func (e *Engine) noteReadOnly(p place, group string, l config.LUN, device bool) error {
	w, err := e.target(p)
	if err != nil || !w.ours() {
		return err
	}
	luns := &w.Target.LUNs
	if group != "" {
		g := w.group(group)
		if g == nil {
			return nil
		}
		luns = &g.LUNs
	}
	same := func(o config.LUN) bool { return o.LUN == l.LUN }
	if twice := l.ReadOnly && device; twice == slices.ContainsFunc(*luns, same) {
		return nil
	} else if twice {
		*luns = append(*luns, config.LUN{LUN: l.LUN, Device: l.Device, ReadOnly: true})
	} else {
		*luns = slices.DeleteFunc(*luns, same)
	}
	return e.keep(w)
}

// mapped is a LUN as SCST has it.
type mapped struct {
	config.LUN
	device string // in the kernel
}

// lunsOf reads a LUN map, by number.
func (e *Engine) lunsOf(ctx context.Context, at string) ([]mapped, error) {
	names, err := e.k.list(at)
	if err != nil {
		return nil, err
	}
	var out []mapped
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		m, there, err := e.lunAt(ctx, at, n)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b mapped) int { return a.LUN.LUN - b.LUN.LUN })
	return out, nil
}

// lunAt reads one LUN of a map; false if there is none of that number.
func (e *Engine) lunAt(ctx context.Context, luns string, n int) (mapped, bool, error) {
	at := path.Join(luns, strconv.Itoa(n))
	to, err := e.k.Readlink(path.Join(at, "device"))
	if errors.Is(err, fs.ErrNotExist) {
		return mapped{}, false, nil
	}
	if err != nil {
		return mapped{}, false, err
	}
	ro, there, err := e.k.optional(ctx, path.Join(at, "read_only"))
	if err != nil || !there {
		return mapped{}, false, err // it went in the meantime
	}
	device := path.Base(to)
	ours, err := e.nameOf(device)
	return mapped{config.LUN{LUN: n, Device: ours, ReadOnly: ro == "1"}, device}, true, err
}

// DeleteLUN implements engine.Engine.
func (e *Engine) DeleteLUN(ctx context.Context, target, group string, lun int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.deleteLUN(ctx, target, group, lun); err != nil {
		return fmt.Errorf("delete LUN %d of %s: %w", lun, engine.LUNMap(target, group), err)
	}
	return nil
}

func (e *Engine) deleteLUN(ctx context.Context, target, group string, lun int) error {
	p, there, err := e.locate(target)
	if err != nil || !there {
		return err
	}
	there, err = e.k.exists(path.Join(p.luns(group), strconv.Itoa(lun)))
	if err != nil || !there {
		return err
	}
	if err := e.noteReadOnly(p, group, config.LUN{LUN: lun}, false); err != nil {
		return err
	}
	return e.k.write(ctx, path.Join(p.luns(group), "mgmt"), "del "+strconv.Itoa(lun))
}
