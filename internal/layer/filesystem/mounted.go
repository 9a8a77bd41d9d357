package filesystem

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/plan"
)

// nearlyFull is how much of a file system is used when that is told.
const nearlyFull = 0.9

// mounted plans a file system where something is mounted already.
func (p *planner) mounted(f config.FileSystem, mount filesystem.Mount) {
	name, inv := object(f.Name), p.seen.Storage.Blocks
	d, there := inv.Find(mount.Source)
	if !there {
		p.b.Block(name, "its device %s is gone while it is mounted at %s; what is on it cannot be read: bring the device back and reboot, or restore what it held", mount.Source, f.Path())
		return
	}
	if !p.holds(d, mount.Type, uuid(p.declared, f)) || mount.Type != kind(f) {
		p.seen.Refuse(p.b, name, f, "%s (%s) is mounted at %s, which is another file system; unmount it, or declare it with its uuid", d.Friendly(), mount.Type, f.Path())
		return
	}
	if want, ok := inv.Find(f.Device); ok && want.Name != d.Name {
		p.seen.Refuse(p.b, name, f, "it is on %s and stays there: what it holds is not moved to %s; make a new file system there and copy", d.Friendly(), f.Device)
		return
	}
	if err := p.fs.Broken[f.Path()]; err != nil {
		p.b.Block(name, "it cannot be read (%v): it shut itself down after an error, as 'dmesg' tells; look after its device %s, then reboot, which checks it", err, d.Friendly())
		return
	}
	if mount.ReadOnly && !slices.Contains(f.Options, "ro") {
		p.b.Degraded(name, "the kernel made it read-only after an error, as 'dmesg' tells: writes fail; look after its device %s, then reboot, which checks and repairs it", d.Friendly())
	}
	if total := mount.Used + mount.Free; total > 0 && float64(mount.Used) >= nearlyFull*float64(total) {
		p.b.Degraded(name, "%d %% of it are in use, %s are free: thin image files on it fail when it is full; grow its device, or move files away", mount.Used*100/total, config.Size(mount.Free).Human())
	}
	p.options(f, mount)
	p.grow(f, mount, d)
}

// grow lets a file system take what its device has gained.
func (p *planner) grow(f config.FileSystem, mount filesystem.Mount, d block.Device) {
	span, unknown := p.fs.Spans[f.Path()], p.fs.Unsized[f.Path()]
	if unknown != nil {
		p.b.Degraded(object(f.Name), "it does not grow with its device: %v", unknown)
		return
	}
	size := d.Size
	var needs []plan.ID
	if coming, ok := p.b.Coming(f.Device); ok {
		needs = append(needs, coming.Step)
		size = max(size, coming.Size)
	}
	if mount.ReadOnly || size < span+filesystem.Slack {
		return
	}
	id := plan.StepID(plan.Change, object(f.Name))
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object(f.Name), Action: plan.Change, Needs: needs,
		Sentence: fmt.Sprintf("Grow file system %s from %s to the %s of its device", f.Name, config.Size(span).Human(), config.Size(size).Human()),
		Do:       func(ctx context.Context, _ plan.Report) error { return growToFill(ctx, p.Machine, f.Path()) },
		// None of them is made smaller while it is in use, xfs not at all; a
		// larger one does no harm.
		Undo: func(context.Context) error { return nil },
	})
	p.b.Comes(f.Path(), plan.Coming{Step: id, Size: size})
}

// growToFill lets a mounted file system take all of its device.
func growToFill(ctx context.Context, m Machine, where string) error {
	mounts, err := filesystem.Mounts(ctx, m)
	if err != nil {
		return err
	}
	mount, ok := filesystem.At(mounts, where)
	if !ok {
		return fmt.Errorf("grow the file system at %s: nothing is mounted there", where)
	}
	inv, err := block.Read(ctx, m)
	if err != nil {
		return err
	}
	d, ok := inv.Find(mount.Source)
	if !ok {
		return fmt.Errorf("grow the file system at %s: its device %s is not there", where, mount.Source)
	}
	span, err := filesystem.Span(ctx, m, mount)
	if err != nil {
		return err
	}
	if d.Size < span+filesystem.Slack || mount.ReadOnly {
		return nil
	}
	if err := filesystem.Grow(ctx, m, mount); err != nil {
		return err
	}
	if now, err := filesystem.Span(ctx, m, mount); err != nil || now <= span {
		return fmt.Errorf("grow the file system at %s: it has %d bytes as before, and its device %d", where, span, d.Size)
	}
	return nil
}

// options sets what a mounted file system is to be mounted with. What was
// declared before is taken for what holds: the kernel spells many options its
// own way, or not at all.
func (p *planner) options(f config.FileSystem, mount filesystem.Mount) {
	want := filesystem.Options(kind(f), f.Options)
	old := want
	before, was := p.before(f.Name)
	if was {
		old = filesystem.Options(kind(before), before.Options)
	}
	changed := !slices.Equal(slices.Sorted(slices.Values(old)), slices.Sorted(slices.Values(want)))
	for _, o := range filesystem.Options(filesystem.XFS, nil) { // these the kernel tells as they are
		changed = changed || !slices.Contains(mount.Options, o)
	}
	if !changed {
		return
	}
	var gone []string
	for _, o := range old {
		if !slices.Contains(want, o) {
			gone = append(gone, o)
		}
	}
	name, device, where := object(f.Name), mount.Source, f.Path()
	s := plan.Step{
		ID: plan.ID("mount options of " + name), Layer: p.Name(), Object: name, Action: plan.Change,
		Changes:  []config.FieldChange{{Field: "options", Old: strings.Join(old, ","), New: strings.Join(want, ",")}},
		Sentence: fmt.Sprintf("Change the mount options of file system %s", f.Name),
		Do: func(ctx context.Context, _ plan.Report) error {
			return filesystem.Remount(ctx, p.Machine, device, where, want)
		},
		Undo: func(ctx context.Context) error { return filesystem.Remount(ctx, p.Machine, device, where, old) },
	}
	if users := p.users(where); len(gone) > 0 && len(users) > 0 {
		// A remount leaves what is not named as it was, and not all has a word
		// for its opposite.
		p.b.Note(name, "%s goes on holding until it is mounted anew, which takes that %s is not served; at the next boot it is", strings.Join(gone, ","), strings.Join(users, ", "))
	} else if len(gone) > 0 {
		s.Sentence = fmt.Sprintf("Mount file system %s anew with other options", f.Name)
		s.Do = func(ctx context.Context, _ plan.Report) error {
			return mountAnew(ctx, p.Machine, kind(f), device, where, want)
		}
		s.Undo = func(ctx context.Context) error { return mountAnew(ctx, p.Machine, kind(f), device, where, old) }
	}
	p.b.Add(s)
}

// mountAnew unmounts a file system and mounts it with other options.
func mountAnew(ctx context.Context, m Machine, kind, device, where string, options []string) error {
	if err := filesystem.Unmount(ctx, m, where); err != nil {
		return err
	}
	return filesystem.TryMount(ctx, m, kind, device, where, options)
}

// users are the devices that are on a mounted file system: declared now or
// before, or served.
func (p *planner) users(where string) []string {
	var users []string
	add := func(devices []config.Device) {
		for _, d := range devices {
			if strings.HasPrefix(d.Path, where+"/") && !slices.Contains(users, "device/"+d.Name) {
				users = append(users, "device/"+d.Name)
			}
		}
	}
	add(p.declared.Devices)
	if p.seen.InForce != nil {
		add(p.seen.InForce.Devices)
	}
	add(p.seen.Engine.Devices)
	return users
}

// takeBack wipes a device that a step made a file system on.
func takeBack(ctx context.Context, m Machine, device string) error {
	inv, err := block.Read(ctx, m)
	if err != nil {
		return err
	}
	d, ok := inv.Find(device)
	if !ok {
		return fmt.Errorf("take the file system on %s away: the device is not there", device)
	}
	return block.Wipe(ctx, m, d)
}
