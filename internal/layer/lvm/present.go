package lvm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// present plans a group that is there.
func (p *groupPlan) present(found *lvm.Group) {
	p.found, p.extent, p.free = *found, found.Extent, found.Free
	p.up = &batch{plan: p}
	p.volumes = make(map[string]lvm.Volume, len(found.Volumes))
	p.thinUp, p.mended = map[string]bool{}, map[string]plan.ID{}
	for _, v := range found.Volumes {
		p.volumes[v.Name] = v
		if v.Pool != "" && v.Active {
			p.thinUp[v.Pool] = true
		}
	}
	if want := int64(p.g.ExtentSize); want != 0 && want != found.Extent {
		p.differs("extent_size", "its extents have %s, and are declared with %s: that is fixed when a group is made", human(found.Extent), human(want))
	}
	p.planDevices()
	p.planVolumes()
	p.planUndeclared()
}

// pair is a declared device and the physical volume that it is.
type pair struct {
	path string
	name string // the kernel's; "" if the device is not there
	pv   *lvm.Device
}

// pairs finds the physical volumes of the declared devices, and those that are
// of no declared one.
func (p *groupPlan) pairs() (declared []pair, others []*lvm.Device) {
	inv := p.seen.Storage.Blocks
	byName := map[string]*lvm.Device{}
	for i := range p.found.Devices {
		d := &p.found.Devices[i]
		if b, ok := inv.Find(d.Path); ok && !d.Missing {
			byName[b.Name] = d
		} else {
			others = append(others, d)
		}
	}
	for _, path := range p.g.Devices {
		one := pair{path: path}
		if b, ok := inv.Find(path); ok {
			one.name = b.Name
			one.pv = byName[b.Name]
			delete(byName, b.Name)
		}
		declared = append(declared, one)
	}
	for i := range p.found.Devices { // in their order
		d := &p.found.Devices[i]
		for _, left := range byName {
			if left == d {
				others = append(others, d)
			}
		}
	}
	return declared, others
}

// planDevices plans the group's devices: those that came, grew, and are to go.
func (p *groupPlan) planDevices() {
	declared, others := p.pairs()
	var absent []string // declared, and not there
	var add []string
	for _, d := range declared {
		coming, comes := p.b.Coming(d.path)
		switch {
		case d.pv != nil:
			p.grow(d, coming, comes)
		case d.name == "" && comes && p.found.Missing > 0:
			p.coming = append(p.coming, coming.Step)
		case d.name == "" && !comes:
			absent = append(absent, d.path)
		default:
			add = append(add, d.path)
		}
	}
	var gone, leaving []*lvm.Device
	for _, d := range others {
		if d.Missing {
			gone = append(gone, d)
		} else {
			leaving = append(leaving, d)
		}
	}
	if len(gone) > 0 {
		p.lacks(gone, leaving, absent, add)
		return
	}
	for _, path := range absent {
		p.differs("devices", "%s is not there: it cannot be added to volume group %s", path, p.g.Name)
	}
	if len(add) > 0 {
		p.add(add)
	}
	for _, d := range leaving {
		p.free -= d.Free
	}
	p.endMoves(leaving)
	room := p.free
	for _, d := range leaving {
		room = p.remove(d, declared, add, room)
	}
	if room >= 0 && len(leaving) > 0 {
		p.free = room
	}
}

// lacks says what a group lacks that is not whole, and that it stays as it is
// until it is: LVM refuses to change it, too.
func (p *groupPlan) lacks(gone, leaving []*lvm.Device, absent, add []string) {
	var uuids []string
	for _, d := range gone {
		uuids = append(uuids, d.UUID)
	}
	p.missing = fmt.Sprintf("the physical volume with UUID %s", list(uuids))
	if names := append(slices.Clone(absent), p.before(absent)...); len(names) > 0 {
		p.missing = list(names)
	}
	p.frozen = fmt.Sprintf("volume group %s lacks %s; nothing of it can be changed until that is back", p.g.Name, p.missing)
	if len(p.coming) > 0 {
		return
	}
	if len(absent) < len(gone) && p.repair(gone, add) {
		return
	}
	p.b.Degraded(p.object, "%s is not there: %d of its %d devices; volumes that need it are not served, and nothing of the group can be changed until it is back",
		p.missing, len(gone), len(p.found.Devices))
	for _, d := range leaving {
		p.differs("devices", "%s cannot be taken out of volume group %s while it lacks %s", d.Path, p.g.Name, p.missing)
	}
	if len(add) > 0 {
		p.differs("devices", "%s cannot be added to volume group %s while it lacks %s", list(add), p.g.Name, p.missing)
	}
}

// before lists devices that were declared before, are not any more, and are not
// there.
func (p *groupPlan) before(absent []string) []string {
	var gone []string
	object, _ := p.seen.Before(p.object)
	was, _ := object.(config.VolumeGroup)
	for _, path := range was.Devices {
		if _, there := p.seen.Storage.Blocks.Find(path); !there && !slices.Contains(p.g.Devices, path) && !slices.Contains(absent, path) {
			gone = append(gone, path)
		}
	}
	return gone
}

// lacking says which devices are missing.
func (p *groupPlan) lacking() string { return p.missing }

// differs says that something of the group cannot be had as it is declared. It
// is refused if somebody asks for it now, and told if it was so before.
func (p *groupPlan) differs(field, format string, args ...any) {
	own := p.g
	own.Volumes = nil
	p.differ(p.object, own, field, format, args...)
}

func (p *groupPlan) differ(object string, declared any, field, format string, args ...any) {
	if p.unchanged(object, declared, field) {
		p.b.Degraded(object, format, args...)
		return
	}
	p.b.Problem(object, format, args...)
}

// needed are a step's needs, with more.
func (p *groupPlan) needed(more ...plan.ID) []plan.ID {
	return append(append([]plan.ID(nil), p.needs...), more...)
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(one, "s"))
}
