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

// others plans what is not declared, or not any more: it is unmounted if ESOS
// mounted it, deleted if it is named as given up, and else left alone.
func (p *planner) others() {
	if p.fs.Err != nil || p.seen.Storage.Blocks == nil {
		return
	}
	declared := map[string]bool{}
	for _, f := range p.declared.Storage.FileSystems {
		declared[f.Name] = true
	}
	known := map[string]bool{}
	add := func(name string) {
		if !declared[name] && !known[name] {
			known[name] = true
			p.other(name)
		}
	}
	if p.seen.InForce != nil {
		for _, f := range p.seen.InForce.Storage.FileSystems {
			add(f.Name)
		}
	}
	for _, m := range p.fs.Mounts {
		if name, ok := strings.CutPrefix(m.Target, config.MountDir+"/"); ok && !strings.Contains(name, "/") {
			add(name)
		}
	}
	for _, named := range p.seen.Destroy {
		if name, ok := strings.CutPrefix(named, "filesystem/"); ok {
			if declared[name] {
				p.b.Note(named, "it is declared, and so it is not deleted; take it out of the document to delete it")
				continue
			}
			add(name)
		}
	}
}

// other plans one file system that is not declared.
func (p *planner) other(name string) {
	where := config.FileSystem{Name: name}.Path()
	before, was := p.before(name)
	id := config.DerivedUUID(p.declared.ID, object(name))
	if was {
		id = uuid(p.declared, before)
	}
	mount, mounted := p.fs.Mounted(where)
	d, there := p.elsewhere(id)
	if mounted {
		d, there = p.seen.Storage.Blocks.Find(mount.Source)
	}
	named := slices.Contains(p.seen.Destroy, object(name))
	if !there && !mounted {
		if named && !was {
			p.b.Problem(object(name), "there is no such file system on the devices of this machine")
		}
		return
	}
	var stays []string
	for _, v := range p.declared.Devices {
		if strings.HasPrefix(v.Path, where+"/") {
			stays = append(stays, "device "+v.Name)
		}
	}
	if (was || named) && len(stays) > 0 {
		p.b.Problem(object(name), "%s is on it; delete that first, or keep the file system", strings.Join(stays, ", "))
		return
	}
	switch {
	case named && there:
		p.destroy(name, where, d, mount, mounted)
	case !mounted:
	case was || there && strings.EqualFold(d.UUID, id):
		p.unmount(name, where, d, mount)
	default:
		p.b.Note(object(name), "%s is mounted at %s and not declared; it is left alone", mount.Source, where)
	}
}

// above are the steps that take away what stands on a file system.
func (p *planner) above(where string) []plan.ID {
	var ids []plan.ID
	for _, user := range p.users(where) {
		image := "image/" + strings.TrimPrefix(user, "device/")
		ids = append(ids, plan.StepID(plan.Delete, user), plan.StepID(plan.Delete, image))
	}
	return ids
}

// unmount plans to let go of a file system, whose data stays.
func (p *planner) unmount(name, where string, d block.Device, mount filesystem.Mount) {
	p.b.Note(object(name), "what it holds (%s) stays on %s; name --destroy %s to delete it, or declare it again to use it", config.Size(mount.Used).Human(), d.Friendly(), object(name))
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: object(name), Action: plan.Delete, Phase: plan.Clear, Needs: p.above(where),
		Sentence: fmt.Sprintf("Unmount file system %s from %s", name, where),
		Do: func(ctx context.Context, _ plan.Report) error {
			if err := filesystem.Unmount(ctx, p.Machine, where); err != nil {
				return err
			}
			return p.Machine.DeleteDir(where)
		},
		Undo: p.mountBack(where, mount),
	})
}

// mountBack mounts again what a step unmounted.
func (p *planner) mountBack(where string, mount filesystem.Mount) func(context.Context) error {
	return func(ctx context.Context) error {
		mounts, err := filesystem.Mounts(ctx, p.Machine)
		if err != nil {
			return err
		}
		if _, there := filesystem.At(mounts, where); there {
			return nil
		}
		if err := p.Machine.MakeDir(where, 0o755); err != nil {
			return err
		}
		return filesystem.TryMount(ctx, p.Machine, mount.Type, mount.Source, where, filesystem.Options(mount.Type, nil))
	}
}

// destroy plans to delete a file system with what it holds.
func (p *planner) destroy(name, where string, d block.Device, mount filesystem.Mount, mounted bool) {
	id := plan.StepID(plan.Delete, object(name))
	lost := "all of it is lost; how much that is could not be seen, since it is not mounted"
	if mounted {
		files := p.fs.Files[where]
		lost = fmt.Sprintf("%s of data in %s are lost", config.Size(mount.Used).Human(), count(len(files), "file"))
	}
	path := d.Path
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object(name), Action: plan.Delete, Phase: plan.Clear, Needs: p.above(where),
		Sentence: fmt.Sprintf("Delete file system %s on %s", name, d.Friendly()),
		Destroys: lost,
		Do: func(ctx context.Context, _ plan.Report) error {
			if err := filesystem.Unmount(ctx, p.Machine, where); err != nil {
				return err
			}
			if err := p.Machine.DeleteDir(where); err != nil {
				return err
			}
			return block.WipeAt(ctx, p.Machine, path)
		},
	})
	p.b.Frees(d.Name, id)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
