package filesystem

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// missing plans a file system that is not mounted: it is mounted if it is
// there, made if it was not declared before, and else told.
func (p *planner) missing(f config.FileSystem) {
	id, name := uuid(p.declared, f), object(f.Name)
	_, was := p.before(f.Name)
	c := p.seen.Claim(p.declared, p.b, f.Device)
	if c.Missing != "" {
		p.seen.Refuse(p.b, name, f, "%s; it is mounted as soon as that is there", c.Missing)
		return
	}
	there := c.Device.Name != ""
	switch {
	case there && p.holds(c.Device, kind(f), id) && !p.freed(c):
		if c.Refused != "" {
			p.seen.Refuse(p.b, name, f, "%s; it is mounted at %s when that has ended", c.Refused, f.Path())
			return
		}
		if !was && f.UUID == "" {
			p.b.Note(name, "%s holds it already; it is mounted with what it holds", f.Device)
		}
		p.mount(f, c.Device.Path, c, false)
	case !there && (was || f.UUID != ""):
		// A step below brings the device: what is on it is known only then.
		p.mount(f, f.Device, c, false)
	case was:
		p.lost(f, c)
	default:
		p.create(f, c)
	}
}

// freed says whether a step takes what is on a claimed device away.
func (p *planner) freed(c layer.Claim) bool {
	_, freed := p.b.Freed(c.Device.Name)
	return freed
}

// lost tells of a file system that was there before and is not any more. A new
// one in its place would be empty, and image files would be made on it.
func (p *planner) lost(f config.FileSystem, c layer.Claim) {
	if other, ok := p.elsewhere(uuid(p.declared, f)); ok {
		p.b.Block(object(f.Name), "it is on %s (%s), not on %s; name that as its device", other.Friendly(), layer.Describe(other), f.Device)
		return
	}
	holds := "nothing"
	if found := p.contents(c.Device); len(found) > 0 {
		holds = found[0].String()
	}
	p.b.Block(object(f.Name), "%s holds %s, and not the %s file system that was there (UUID %s): it is not made anew; bring the right device back, or give it up ('esos filesystem delete %s') and create it again",
		f.Device, holds, kind(f), uuid(p.declared, f), f.Name)
}

// create plans a file system that is new, on a device that is blank or whose
// contents are given up by name.
func (p *planner) create(f config.FileSystem, c layer.Claim) {
	name := object(f.Name)
	if c.Refused != "" {
		p.b.Problem(name, "%s", c.Refused)
		return
	}
	if f.UUID != "" {
		p.b.Problem(name, "%s holds no %s file system with UUID %s, and one that is taken up is never made; leave uuid out to have one made", f.Device, kind(f), f.UUID)
		return
	}
	if other, ok := p.elsewhere(uuid(p.declared, f)); ok && other.Name != c.Device.Name {
		p.b.Problem(name, "a file system that was made as %s is on %s (%s): name that as its device to use it with what it holds, or take another name", f.Name, other.Friendly(), layer.Describe(other))
		return
	}
	if least := filesystem.Smallest(kind(f)); c.Size > 0 && c.Size < least {
		p.b.Problem(name, "%s has %s, and %s needs %s at least", f.Device, config.Size(c.Size).Human(), kind(f), config.Size(least).Human())
		return
	}
	if c.Device.Name != "" && !p.freed(c) {
		for _, found := range p.contents(c.Device) {
			if found.Type == kind(f) && found.UUID != "" {
				p.b.Note(name, "%s holds %s, which was not made as %s: set its uuid to %s to take it up with what it holds", f.Device, found, f.Name, found.UUID)
			}
		}
	}
	c.Needs = disk.Wipe(p.Machine, c, p.b)
	device := f.Device
	if c.Device.Path != "" {
		device = c.Device.Path
	}
	p.mount(f, device, c, true)
}

// mount plans to mount a file system, and with make to make it before.
func (p *planner) mount(f config.FileSystem, device string, c layer.Claim, create bool) {
	name := object(f.Name)
	m := mounting{machine: p.Machine, kind: kind(f), device: device, where: f.Path(), uuid: uuid(p.declared, f), label: filesystem.Label(f.Name),
		options: filesystem.Options(kind(f), f.Options), create: create}
	s := plan.Step{
		Layer: p.Name(), Object: name, Action: plan.Create, Needs: c.Needs,
		Sentence: fmt.Sprintf("Mount file system %s (%s on %s) at %s", f.Name, kind(f), f.Device, f.Path()),
		Do:       func(ctx context.Context, _ plan.Report) error { return m.do(ctx) },
		Undo:     m.undo,
	}
	if create {
		s.Sentence = fmt.Sprintf("Make file system %s (%s) on %s and mount it at %s", f.Name, kind(f), f.Device, f.Path())
	}
	p.b.Add(s)
	p.b.Comes(f.Path(), plan.Coming{Step: plan.StepID(plan.Create, name), Size: c.Size})
}

// mounting is a step that mounts, and what it did of that.
type mounting struct {
	machine                          Machine
	kind, device, where, uuid, label string
	options                          []string
	create                           bool // make it if the device is blank

	made, mounted, entered bool
}

// do looks at the device itself first: it may have come only now.
func (m *mounting) do(ctx context.Context) error {
	mounts, err := filesystem.Mounts(ctx, m.machine)
	if err != nil {
		return err
	}
	if mount, there := filesystem.At(mounts, m.where); there {
		if m.machine.Real(mount.Source) != m.machine.Real(m.device) {
			return fmt.Errorf("mount %s at %s: %s is mounted there", m.device, m.where, mount.Source)
		}
		return nil
	}
	found, err := block.Contents(ctx, m.machine, m.device)
	if err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.device, m.where, err)
	}
	switch {
	case slices.ContainsFunc(found, func(c block.Content) bool { return c.Type == m.kind && strings.EqualFold(c.UUID, m.uuid) }):
	case len(found) > 0:
		return fmt.Errorf("mount %s at %s: it holds %s (UUID %s), not the %s file system %s; nothing was changed", m.device, m.where, found[0], found[0].UUID, m.kind, m.uuid)
	case !m.create:
		return fmt.Errorf("mount %s at %s: it is blank: the %s file system that was there (UUID %s) is gone; nothing was changed", m.device, m.where, m.kind, m.uuid)
	default:
		m.made = true // or in part: undo looks
		if err := filesystem.Make(ctx, m.machine, m.kind, m.device, m.uuid, m.label); err != nil {
			m.made = !errors.Is(err, filesystem.ErrHolds)
			return err
		}
	}
	if err := filesystem.Check(ctx, m.machine, m.kind, m.device); err != nil {
		return err
	}
	if m.machine.Real(m.where) == "" {
		m.entered = true
		if err := m.machine.MakeDir(path.Clean(m.where), 0o755); err != nil {
			return fmt.Errorf("make the mount point %s: %w", m.where, err)
		}
	}
	m.mounted = true
	if err := filesystem.TryMount(ctx, m.machine, m.kind, m.device, m.where, m.options); err != nil {
		return err
	}
	// Its device may have grown while it was not mounted. If that fails, it is
	// mounted all the same, and the next plan says what is to be grown.
	_ = growToFill(ctx, m.machine, m.where)
	return nil
}

// undo takes away what do did. What it made held nothing: what came upon it
// later was undone before.
func (m *mounting) undo(ctx context.Context) error {
	if m.mounted {
		if err := filesystem.Unmount(ctx, m.machine, m.where); err != nil {
			return err
		}
	}
	if m.entered {
		if err := m.machine.DeleteDir(m.where); err != nil {
			return err
		}
	}
	if !m.made {
		return nil
	}
	found, err := block.Contents(ctx, m.machine, m.device)
	if err != nil {
		return err
	}
	ours := func(c block.Content) bool { return strings.EqualFold(c.UUID, m.uuid) || c.Type == block.Unknown }
	if len(found) == 0 || !ours(found[0]) {
		return nil // it was not made, or is something else by now
	}
	return takeBack(ctx, m.machine, m.device)
}
