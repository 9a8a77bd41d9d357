// Package lvm is the layer of volume groups and their volumes: it makes them,
// activates what is declared after a boot, grows, moves and caches them, and
// deletes those whose names are given for that.
package lvm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine // and with it lvm.Machine and block.Wiper
}

// Layer is volume groups and volumes.
type Layer struct {
	Machine Machine
	// Backups is where LVM keeps copies of the groups' metadata; nowhere if
	// empty.
	Backups string
}

// Tags that ESOS puts on what it makes.
const (
	Snapshot = "esos.snapshot" // a snapshot, which is told and deleted with the schedule that took it
	fastPart = "esos.cache"    // what becomes a cache
)

// Name is lvm.
func (Layer) Name() string { return "lvm" }

// Begin begins to read the volume groups, where the document has any: with
// hundreds of volumes that takes as long as listing the block devices does.
func (l Layer) Begin(ctx context.Context, declared *config.Document, seen *layer.Observed) {
	if len(declared.Storage.VolumeGroups) == 0 {
		return
	}
	reading := make(chan layer.LVM, 1)
	seen.Storage.LVM.Reading = reading
	go func() {
		var s layer.LVM
		s.State, s.Err = l.tool().Read(ctx)
		reading <- s
	}()
}

// Observe reads all volume groups, with one run of one program. What cannot be
// read is told where something that is declared needs it.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	if seen.Storage.Blocks == nil {
		return nil // nobody declares any storage
	}
	s := &seen.Storage.LVM
	if s.Reading == nil {
		s.State, s.Err = l.tool().Read(ctx)
		return ctx.Err()
	}
	*s = <-s.Reading
	return ctx.Err()
}

func (l Layer) tool() lvm.Tool { return lvm.Tool{Machine: l.Machine, Backups: l.Backups} }

// Plan brings the groups and volumes to what is declared.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	ours := map[string]bool{} // UUIDs of the groups that are declared
	for _, g := range declared.Storage.VolumeGroups {
		if uuid := l.PlanGroup(declared, seen, b, g); uuid != "" {
			ours[uuid] = true
		}
	}
	l.planOthers(declared, seen, b, ours)
}

// PlanGroup plans one volume group, with what is declared of its volumes. It
// returns the UUID of the group that is there already.
func (l Layer) PlanGroup(declared *config.Document, seen *layer.Observed, b *plan.Builder, g config.VolumeGroup) string {
	p := &groupPlan{Layer: l, tool: l.tool(), declared: declared, seen: seen, b: b, g: g, object: object(g.Name), extent: int64(g.ExtentSize)}
	if p.extent == 0 {
		p.extent = 4 << 20
	}
	switch {
	case seen.Storage.Blocks == nil:
		p.refuse("the block devices could not be looked at: %v", seen.Storage.Err)
		return ""
	case seen.Storage.LVM.Err != nil:
		p.refuse("%v", seen.Storage.LVM.Err)
		return ""
	}
	found := p.find()
	switch {
	case p.refused:
	case found == nil:
		p.absent()
	default:
		p.present(found)
	}
	if found == nil {
		return ""
	}
	return found.UUID
}

func object(group string) string { return "volume-group/" + group }

// groupPlan is the planning of one group.
type groupPlan struct {
	Layer
	tool     lvm.Tool
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder
	g        config.VolumeGroup
	object   string
	extent   int64
	refused  bool

	found   lvm.Group
	volumes map[string]lvm.Volume // of found, by name
	needs   []plan.ID             // what a volume that is made or grown needs
	free    int64                 // bytes that volumes can have; -1 if that is not known
	frozen  string                // why nothing of the group can be changed
	missing string                // which devices are not there
	mended  map[string]plan.ID    // volumes that a step makes whole, by name
	coming  []plan.ID             // steps that bring devices which are not there
	thinUp  map[string]bool       // pools of which a volume is active
	up      *batch
}

// refuse says that the group cannot be had, nor anything on it.
func (p *groupPlan) refuse(format string, args ...any) {
	p.refused = true
	own := p.g
	own.Volumes = nil
	p.seen.Refuse(p.b, p.object, own, format, args...)
	for _, v := range p.g.Volumes {
		p.b.Block(config.VolumeObject(p.g.Name, v.Name), "its volume group %s cannot be had", p.g.Name)
	}
}

// tag is what the group is known by again.
func (p *groupPlan) tag() string { return layer.GroupTag(p.declared, p.g.Name) }

// find finds the group among those of the machine: by LVM's UUID if the
// document has it, else by the tag that it got when it was made.
func (p *groupPlan) find() *lvm.Group {
	var found, namesake *lvm.Group
	groups := p.seen.Storage.LVM.Groups
	for i := range groups {
		g := &groups[i]
		is := p.seen.Storage.LVM.Is(*g, p.declared, p.g)
		switch {
		case is && found == nil:
			found = g
		case g.Name == p.g.Name:
			namesake = g
		}
	}
	switch {
	case found != nil && found.Name != p.g.Name:
		p.refuse("it is there under another name, %s; rename it with 'vgrename %s %s', or declare it by that name", found.Name, found.UUID, p.g.Name)
	case found != nil && (found.Exported || found.Lock != "" && found.Lock != "none"):
		p.refuse("volume group %s is another machine's: it is exported or shared (%s); 'vgimport %s' takes it over if no other machine uses it", found.Name, found.Lock, found.Name)
	case found != nil && namesake != nil:
		p.only(found)
		p.b.Degraded(p.object, "another volume group has the same name: UUID %s on %s; it is left alone. Take its disks out, or give it another name: vgrename %s OTHER",
			namesake.UUID, paths(namesake), namesake.UUID)
	case found == nil && namesake != nil:
		if given, names := p.givenUp(namesake); !given {
			p.refuse("a volume group of this name is there already, on %s, with %s, and it was not made from this document; either take it up with what it holds (uuid: %s), "+
				"or give up what is on its devices by name (--destroy %s)", paths(namesake), volumes(visible(*namesake)), namesake.UUID, names)
		}
	}
	return found
}

// givenUp says whether all devices of a group are declared for this one, and
// what is on them is named as given up: then the wipes of them end it. names
// is what must be named.
func (p *groupPlan) givenUp(g *lvm.Group) (given bool, names string) {
	var all []string
	given = true
	for _, d := range g.Devices {
		is, ok := p.seen.Storage.Blocks.Find(d.Path)
		at := slices.IndexFunc(p.g.Devices, func(path string) bool {
			wanted, there := p.seen.Storage.Blocks.Find(path)
			return ok && there && wanted.Name == is.Name
		})
		if at < 0 {
			given = false
			all = append(all, config.DiskObject(d.Path))
			continue
		}
		name := cmp.Or(p.declared.Storage.Provider(p.g.Devices[at]), config.DiskObject(p.g.Devices[at]))
		given = given && slices.Contains(p.seen.Destroy, name)
		all = append(all, name)
	}
	return given, strings.Join(all, ",")
}

// only has commands look at the group's own devices, and those it gets.
func (p *groupPlan) only(found *lvm.Group) {
	for _, d := range found.Devices {
		if !d.Missing {
			p.tool.Only = append(p.tool.Only, d.Path)
		}
	}
	for _, path := range p.g.Devices {
		if d, ok := p.seen.Storage.Blocks.Find(path); ok && !p.mine(found, d.Name) {
			p.tool.Only = append(p.tool.Only, d.Path)
		}
	}
}

// mine says whether a block device is a physical volume of a group.
func (p *groupPlan) mine(g *lvm.Group, name string) bool {
	for _, d := range g.Devices {
		if own, ok := p.seen.Storage.Blocks.Find(d.Path); ok && own.Name == name {
			return true
		}
	}
	return false
}

func paths(g *lvm.Group) string {
	var list []string
	for _, d := range g.Devices {
		list = append(list, d.Path)
	}
	return strings.Join(list, ", ")
}

// visible are the volumes that people know: no parts of others.
func visible(g lvm.Group) []lvm.Volume {
	var list []lvm.Volume
	for _, v := range g.Volumes {
		if !v.Hidden && v.Type != "vdo-pool" && v.Moves == "" {
			list = append(list, v)
		}
	}
	return list
}

// volumes puts a number of volumes and their size into words.
func volumes(list []lvm.Volume) string {
	var size int64
	for _, v := range list {
		if v.Pool == "" || v.Type != "thin" { // those lie in what is counted already
			size += v.Size
		}
	}
	switch len(list) {
	case 0:
		return "no volumes"
	case 1:
		return fmt.Sprintf("volume %s of %s", list[0].Name, human(list[0].Size))
	}
	return fmt.Sprintf("%d volumes that have %s", len(list), human(size))
}

func human(n int64) string { return config.Size(n).Human() }
