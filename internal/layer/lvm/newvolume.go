package lvm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// create plans a volume that was never there.
func (p *groupPlan) create(v config.Volume) {
	object := config.VolumeObject(p.g.Name, v.Name)
	n, room, sentence, ok := p.make(object, v)
	if !ok || !p.take(object, room) {
		p.b.Block(object, "it cannot be made")
		return
	}
	id := plan.StepID(plan.Create, object)
	m := &made{plan: p, n: n, v: v}
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Create, Sentence: sentence, Needs: p.needed(p.below(v)...),
		Do: m.do, Undo: m.undo,
	})
	p.volumes = with(p.volumes, lvm.Volume{Name: v.Name, Type: "new", Size: n.Size})
	p.comes(v, id, n.Size)
	p.planNewCache(object, v, id)
}

func with(m map[string]lvm.Volume, v lvm.Volume) map[string]lvm.Volume {
	if m == nil {
		m = map[string]lvm.Volume{}
	}
	m[v.Name] = v
	return m
}

// below are the steps that make what a volume lies in or begins with.
func (p *groupPlan) below(v config.Volume) []plan.ID {
	var needs []plan.ID
	for _, name := range []string{v.Pool, v.CloneOf} {
		if name == "" {
			continue
		}
		object := config.VolumeObject(p.g.Name, name)
		needs = append(needs, plan.StepID(plan.Create, object), plan.StepID("rename", object), plan.ID("extend "+object+" size"))
	}
	return needs
}

// make says how a volume is made, what it takes of the group, and that in
// words.
func (p *groupPlan) make(object string, v config.Volume) (n lvm.New, room int64, sentence string, ok bool) {
	stripes, mirrors := shape(v)
	n = lvm.New{
		Group: p.g.Name, Name: v.Name, Type: string(typeOf(v)), Size: up(int64(v.Size), p.extent*int64(max(1, stripes))), Devices: v.Devices,
		Stripes: stripes, StripeSize: int64(v.StripeSize), Mirrors: mirrors,
	}
	full, what := lvm.Full(p.g.Name, v.Name), strings.ReplaceAll(string(typeOf(v)), "_", " ")
	sentence = fmt.Sprintf("Create %s volume %s of %s", what, full, human(n.Size))
	switch v.Type {
	case config.RAID1:
		n.Stripes = 0
	case config.ThinPool:
		n.Type, n.Metadata, n.Chunk = "thin-pool", up(int64(v.Metadata), p.extent), int64(v.Chunk)
		sentence = fmt.Sprintf("Create thin pool %s of %s", full, human(n.Size))
		return n, n.Size + 2*max(n.Metadata, p.extent), sentence, true // and the spare metadata
	case config.ThinDisk:
		n.Pool = v.Pool
		if p.b.Blocked(config.VolumeObject(p.g.Name, v.Pool)) {
			p.b.Block(object, "its thin pool %s cannot be had", v.Pool)
			return n, 0, "", false
		}
		sentence = fmt.Sprintf("Create thin volume %s of %s in %s", full, human(n.Size), v.Pool)
		if v.CloneOf != "" {
			return p.clone(object, v, n)
		}
		return n, 0, sentence, true
	case config.VDO:
		n.Pool, n.Physical, n.Deduplicate, n.Compress = p.name(v.Name+"_vdopool"), up(int64(v.Physical), p.extent), on(v.Deduplication), on(v.Compression)
		p.volumes = with(p.volumes, lvm.Volume{Name: n.Pool, Type: "new"})
		sentence = fmt.Sprintf("Create VDO volume %s of %s on %s", full, human(n.Size), human(n.Physical))
		return n, n.Physical, sentence, true
	}
	return n, p.takes(v, n.Size), sentence, true
}

// clone says how a clone is made, of an origin that must be there.
func (p *groupPlan) clone(object string, v config.Volume, n lvm.New) (lvm.New, int64, string, bool) {
	origin, there := p.volumes[v.CloneOf]
	switch {
	case !there:
		p.b.Problem(object, "%s, which it is to be a clone of, is not there; 'esos volume list' shows what is", lvm.Full(p.g.Name, v.CloneOf))
		return n, 0, "", false
	case origin.Type != "thin" && origin.Type != "new":
		p.b.Problem(object, "%s, which it is to be a clone of, is no thin volume", lvm.Full(p.g.Name, v.CloneOf))
		return n, 0, "", false
	case origin.Type == "thin" && origin.Pool != v.Pool:
		p.b.Problem(object, "%s, which it is to be a clone of, lies in thin pool %s, and a clone lies where its origin does; set pool to that", lvm.Full(p.g.Name, v.CloneOf), origin.Pool)
		return n, 0, "", false
	}
	n.Type, n.Origin = "snapshot", v.CloneOf
	if n.Size != 0 && n.Size < origin.Size {
		p.b.Problem(object, "a clone is not smaller than its origin %s, which has %s", v.CloneOf, human(origin.Size))
		return n, 0, "", false
	}
	n.Size = max(n.Size, origin.Size)
	return n, 0, fmt.Sprintf("Create thin volume %s as a clone of %s, as that is then", lvm.Full(p.g.Name, v.Name), v.CloneOf), true
}

// name is a name that no volume has or will have.
func (p *groupPlan) name(want string) string {
	taken := func(name string) bool {
		if _, ok := p.volumes[name]; ok {
			return true
		}
		for _, v := range p.g.Volumes {
			if v.Name == name {
				return true
			}
		}
		return false
	}
	for n, name := 2, want; ; n++ {
		if !taken(name) {
			return name
		}
		name = fmt.Sprintf("%s%d", want, n)
	}
}

// made is the making of a volume.
type made struct {
	plan *groupPlan
	n    lvm.New
	v    config.Volume
	mine bool
}

// do makes the volume. One that is there already, made by a step that was cut
// off or found on disks that came meanwhile, is activated as it is, and not
// taken for made here.
func (m *made) do(ctx context.Context, _ plan.Report) error {
	p, full := m.plan, lvm.Full(m.n.Group, m.n.Name)
	// LVM itself looks whether there is one: a report for each of hundreds of
	// volumes would take longer than to make them.
	err := p.tool.CreateVolume(ctx, m.n)
	switch there := lvm.IsTaken(err); {
	case there:
		if err := m.found(ctx, err); err != nil {
			return err
		}
	case err != nil:
		m.mine = true // it may have been made in part
		return fmt.Errorf("create volume %s: %w", full, err)
	default:
		m.mine = true
		if err := m.blank(ctx); err != nil {
			return err
		}
	}
	if m.n.Type == "snapshot" && m.v.Size != 0 {
		is, err := p.look(ctx, m.n.Name)
		if err != nil {
			return fmt.Errorf("grow volume %s: %w", full, err)
		}
		if is.Size < m.n.Size {
			if err := p.tool.Extend(ctx, m.n.Group, m.n.Name, m.n.Size, nil); err != nil {
				return fmt.Errorf("grow volume %s: %w", full, err)
			}
		}
	}
	if m.v.ReadOnly {
		if err := p.tool.SetReadOnly(ctx, m.n.Group, m.n.Name, true); err != nil {
			return fmt.Errorf("set volume %s read-only: %w", full, err)
		}
	}
	return block.Settle(ctx, p.Machine)
}

// found activates a volume that is there already.
func (m *made) found(ctx context.Context, taken error) error {
	p, full := m.plan, lvm.Full(m.n.Group, m.n.Name)
	is, err := p.look(ctx, m.n.Name)
	if errors.Is(err, errGone) { // it is the name of a part that is taken
		return fmt.Errorf("create volume %s: %w", full, taken)
	}
	if err != nil {
		return fmt.Errorf("look at volume %s: %w", full, err)
	}
	if is.Hidden || is.Type == "vdo-pool" {
		return fmt.Errorf("create volume %s: a part of another volume has that name; take another one", full)
	}
	if is.Active || m.v.Type == config.ThinPool {
		return nil
	}
	if err := p.tool.Activate(ctx, m.n.Group, m.n.Name); err != nil {
		return fmt.Errorf("activate volume %s: %w", full, err)
	}
	return nil
}

// blank clears the ends of a volume, where formats look: what volumes that
// were deleted left in the group's free space must not be taken for data of
// this one. Thin volumes and VDOs read zeros anyway.
func (m *made) blank(ctx context.Context) error {
	switch m.n.Type {
	case "linear", "striped", "raid1", "raid5", "raid6", "raid10":
		return block.WipeAt(ctx, m.plan.Machine, "/dev/mapper/"+lvm.Mapped(m.n.Group, m.n.Name))
	}
	return nil
}

// undo removes the volume if this very step made it: then nothing is on it.
func (m *made) undo(ctx context.Context) error {
	if !m.mine {
		return nil
	}
	p, full := m.plan, lvm.Full(m.n.Group, m.n.Name)
	g, _, err := p.tool.Group(ctx, m.n.Group)
	if err != nil {
		return err
	}
	if _, there := g.Volume(m.n.Name); !there {
		return nil
	}
	if err := p.tool.RemoveVolume(ctx, m.n.Group, m.n.Name); err != nil {
		return fmt.Errorf("remove volume %s again: %w", full, err)
	}
	return nil
}
