package multipath

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/multipathd"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// declare plans one map that is declared.
func (p *planning) declare(m config.MultipathMap, setUp []plan.ID) {
	found, ok := p.now.Map(m.WWID)
	switch {
	case ok && found.Name == m.Name:
		p.tell(m, found)
	case ok:
		p.rename(m, found, setUp)
	default:
		p.create(m, setUp)
	}
}

// tell notes how the paths of a map are.
func (p *planning) tell(m config.MultipathMap, found multipathd.Map) {
	var bad []string
	for _, path := range found.Paths {
		if !path.Works() {
			bad = append(bad, describe(path))
		}
	}
	switch works := len(found.Paths) - len(bad); {
	case len(found.Paths) == 0:
		p.b.Block(object(m.Name), "all paths to disk %s are gone; I/O to it waits for a minute, and fails then, until one is back", m.WWID)
	case works == 0:
		p.b.Block(object(m.Name), "no path to disk %s works (%s); I/O to it waits for a minute, and fails then, until one is back", m.WWID, strings.Join(bad, ", "))
	case len(bad) > 0:
		p.b.Degraded(object(m.Name), "%d of %d paths to disk %s do not work: %s", len(bad), len(found.Paths), m.WWID, strings.Join(bad, ", "))
	case works == 1:
		p.b.Degraded(object(m.Name), "disk %s is reached by one path only, %s", m.WWID, found.Paths[0].Disk)
	}
}

func describe(p multipathd.Path) string {
	text := p.Disk + ": " + p.State
	if p.Through != "" {
		text += " through " + p.Through
	}
	return text
}

// create plans a map that is not there.
func (p *planning) create(m config.MultipathMap, setUp []plan.ID) {
	if p.pathUsed(m) {
		return
	}
	inv := p.seen.Storage.Blocks
	ways := layer.Ways(inv, m.WWID)
	needs := slices.Clone(setUp)
	var coming []string
	for _, r := range p.declared.Storage.Remote.ISCSI {
		if id := plan.StepID(plan.Create, r.Object()); p.b.Has(id) {
			needs = append(needs, id)
			coming = append(coming, r.Object())
		}
	}
	if len(ways) == 0 && len(coming) == 0 {
		p.seen.Refuse(p.b, object(m.Name), m, "disk %s is not there; 'esos multipath list' shows the disks that are", m.WWID)
		return
	}
	for _, w := range ways {
		if by := layer.Users(inv, []string{w.Name}, nil); len(by) > 0 {
			p.seen.Refuse(p.b, object(m.Name), m, "its paths cannot be gathered: %s itself; give that up, or let it stand on %s", strings.Join(by, ", "), m.Path())
			return
		}
	}
	step := plan.Step{
		Layer: p.Name(), Object: object(m.Name), Action: plan.Create, Phase: plan.Build, Needs: needs, Reveals: true,
		Sentence: fmt.Sprintf("Gather the paths to disk %s (%s) as %s", m.WWID, names(ways), m.Path()),
		Do:       func(ctx context.Context, _ plan.Report) error { return p.gather(ctx, m) },
		Undo:     func(ctx context.Context) error { return p.scatter(ctx, m.WWID) },
	}
	var size int64
	if len(ways) == 0 {
		step.Sentence = fmt.Sprintf("Gather the paths to disk %s, which comes with %s, as %s", m.WWID, strings.Join(coming, ", "), m.Path())
	} else {
		size = ways[0].Size
	}
	p.b.Add(step)
	p.comes(m, plan.StepID(plan.Create, step.Object), size)
}

// comes says that a map's path will be there. What is to be made on it with the
// same plan waits until it was looked at: what the disk holds was not seen
// under that name.
func (p *planning) comes(m config.MultipathMap, step plan.ID, size int64) {
	var before []layer.Use
	if p.seen.InForce != nil {
		before = layer.Uses(p.seen.InForce)
	}
	is := func(u layer.Use) bool { return u.Path == m.Path() }
	if slices.ContainsFunc(before, is) {
		return // it is brought up when it was seen
	}
	path := m.Path()
	at := slices.IndexFunc(layer.Uses(p.declared), is)
	if at < 0 {
		return
	}
	if strings.HasPrefix(layer.Uses(p.declared)[at].Object, "device/") { // it is served as it is
		p.b.Comes(path, plan.Coming{Step: step, Size: size})
		return
	}
	id := plan.StepID("look", object(m.Name))
	p.b.Comes(path, plan.Coming{Step: id, Size: size})
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object(m.Name), Action: plan.Create, Phase: plan.Build, Needs: []plan.ID{step},
		Sentence: fmt.Sprintf("Look at %s, which must be blank", path),
		Do:       func(ctx context.Context, _ plan.Report) error { return layer.Blank(ctx, p.Machine, path, p.patience()) },
		Undo:     func(context.Context) error { return nil }, // it changed nothing
	})
}

// gather waits for a map, and asks for it once more.
func (p *planning) gather(ctx context.Context, m config.MultipathMap) error {
	end := time.Now().Add(p.patience())
	for asked := false; ; {
		maps, err := multipathd.Maps(ctx, p.Machine)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(maps, func(f multipathd.Map) bool { return f.WWID == m.WWID })
		if i >= 0 && maps[i].Name == m.Name && p.Machine.Real(m.Path()) != "" {
			return block.Settle(ctx, p.Machine)
		}
		if time.Now().After(end) {
			return fmt.Errorf("gather the paths to disk %s: multipathd made no map %s of them; 'multipath -v3' tells why", m.WWID, m.Name)
		}
		if !asked {
			if err := multipathd.Reconfigure(ctx, p.Machine); err != nil {
				return err
			}
			asked = true
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// scatter takes the map of a disk away again.
func (p *planning) scatter(ctx context.Context, wwid string) error {
	running, err := multipathd.Running(ctx, p.Machine)
	if err != nil || !running {
		return err
	}
	maps, err := multipathd.Maps(ctx, p.Machine)
	if err != nil {
		return err
	}
	for _, m := range maps {
		if m.WWID == wwid {
			return p.flush(ctx, m.Name)
		}
	}
	return nil
}

// flush takes a map away. multipathd, told of a configuration without it, may
// do so at the same moment.
func (p *planning) flush(ctx context.Context, name string) error {
	err := multipathd.Flush(ctx, p.Machine, name)
	if err == nil {
		return nil
	}
	maps, look := multipathd.Maps(ctx, p.Machine)
	if look != nil || slices.ContainsFunc(maps, func(m multipathd.Map) bool { return m.Name == name }) {
		return errors.Join(err, look)
	}
	return nil
}

// rename plans another name for a map that is there.
func (p *planning) rename(m config.MultipathMap, found multipathd.Map, setUp []plan.ID) {
	inv := p.seen.Storage.Blocks
	d, ok := inv.Named(found.DM)
	if by := layer.Users(inv, []string{found.DM}, nil); !ok || len(by) > 0 {
		p.seen.Refuse(p.b, object(m.Name), m, "disk %s is gathered as %s and in use (%s); it gets another name when nothing stands on it", m.WWID, found.Name, strings.Join(by, ", "))
		return
	}
	step := plan.Step{
		Layer: p.Name(), Object: object(m.Name), Action: plan.Change, Phase: plan.Build, Needs: setUp, Reveals: true,
		Sentence: fmt.Sprintf("Call disk %s %s instead of %s", m.WWID, m.Path(), found.Name),
		Changes:  []config.FieldChange{{Field: "name", Old: found.Name, New: m.Name}},
		Do:       func(ctx context.Context, _ plan.Report) error { return p.gather(ctx, m) },
		Undo:     func(context.Context) error { return nil }, // the configuration that is put back has the old name
	}
	p.b.Add(step)
	p.comes(m, plan.StepID(plan.Change, step.Object), d.Size)
}

// pathUsed refuses a map where something that is declared stands on one path of
// its disk. Where the map is there Claim refuses that.
func (p *planning) pathUsed(m config.MultipathMap) bool {
	ways := layer.Ways(p.seen.Storage.Blocks, m.WWID)
	for _, u := range layer.Uses(p.declared) {
		d, ok := p.seen.BlockDevice(u.Path)
		if ok && slices.ContainsFunc(ways, func(w block.Device) bool { return w.Name == d.Name }) {
			p.seen.Refuse(p.b, object(m.Name), m, "%s stands on %s, which is only one path to its disk; let it stand on %s", u.Object, u.Path, m.Path())
			return true
		}
	}
	return false
}
