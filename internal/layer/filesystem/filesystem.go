// Package filesystem is the layer of file systems for image files: it makes
// them, mounts them at boot, lets them grow with their devices, and takes them
// away. What is on a device that no step was allowed to wipe is never touched.
package filesystem

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine
	block.Prober
	MakeDir(path string, mode fs.FileMode) error
	DeleteDir(path string) error
}

// Layer plans file systems.
type Layer struct{ Machine Machine }

// Name is filesystem.
func (Layer) Name() string { return "filesystem" }

// object names a file system.
func object(name string) string { return "filesystem/" + name }

// uuid is what a file system is known by.
func uuid(doc *config.Document, f config.FileSystem) string {
	if f.UUID != "" {
		return strings.ToLower(f.UUID)
	}
	return config.DerivedUUID(doc.ID, object(f.Name))
}

// kind is the type with the default written out.
func kind(f config.FileSystem) string {
	if f.Type == "" {
		return filesystem.XFS
	}
	return f.Type
}

// Observe looks at what is mounted, and closer at what is declared.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	s := &seen.Storage.FileSystems
	if seen.Storage.Blocks == nil {
		return ctx.Err()
	}
	if s.Mounts, s.Err = filesystem.Mounts(ctx, l.Machine); s.Err != nil {
		return ctx.Err()
	}
	s.Spans, s.Unsized, s.Broken, s.Hidden, s.Files = map[string]int64{}, map[string]error{}, map[string]error{}, map[string][]string{}, map[string][]filesystem.File{}
	for _, f := range declared.Storage.FileSystems {
		where := f.Path()
		names, err := l.Machine.ReadDir(where)
		mount, mounted := s.Mounted(where)
		if !mounted {
			if len(names) > 0 {
				s.Hidden[where] = names
			}
			continue
		}
		if err != nil {
			s.Broken[where] = err
			continue
		}
		if s.Spans[where], err = filesystem.Span(ctx, l.Machine, mount); err != nil {
			s.Unsized[where] = err
		}
	}
	for _, m := range s.Mounts {
		name, ours := strings.CutPrefix(m.Target, config.MountDir+"/")
		if !ours || !slices.Contains(seen.Destroy, object(name)) {
			continue
		}
		if files, err := filesystem.Files(ctx, l.Machine, m.Target); err == nil {
			s.Files[m.Target] = files
		}
	}
	return ctx.Err()
}

// Plan makes, mounts, changes and takes away file systems.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	p := planner{Layer: l, declared: declared, seen: seen, fs: &seen.Storage.FileSystems, b: b}
	p.others() // first: what is deleted frees devices
	for _, f := range declared.Storage.FileSystems {
		p.want(f)
	}
}

// planner plans for one document.
type planner struct {
	Layer
	declared *config.Document
	seen     *layer.Observed
	fs       *layer.FileSystems
	b        *plan.Builder
}

// want plans a file system that is declared.
func (p *planner) want(f config.FileSystem) {
	if err := p.fs.Err; err != nil {
		p.seen.Refuse(p.b, object(f.Name), f, "%v", err)
		return
	}
	if p.seen.Storage.Blocks == nil {
		p.seen.Refuse(p.b, object(f.Name), f, "the block devices could not be looked at: %v", p.seen.Storage.Err)
		return
	}
	if mount, mounted := p.fs.Mounted(f.Path()); mounted {
		p.mounted(f, mount)
		return
	}
	if names := p.fs.Hidden[f.Path()]; len(names) > 0 {
		p.seen.Refuse(p.b, object(f.Name), f, "%s is not mounted, and its directory holds %s already, in memory: a mount would hide that; move it away", f.Path(), some(names))
		return
	}
	p.missing(f)
}

// some names the first few.
func some(names []string) string {
	const most = 3
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// before is what the document in force says of a file system.
func (p *planner) before(name string) (config.FileSystem, bool) {
	v, ok := p.seen.Before(object(name))
	if !ok {
		return config.FileSystem{}, false
	}
	f, ok := v.(config.FileSystem)
	return f, ok
}

// holds says whether a device holds a file system of that type and UUID; of one
// that could not be read, what udev found counts.
func (p *planner) holds(d block.Device, kind, uuid string) bool {
	for _, c := range p.contents(d) {
		if c.Type == kind && strings.EqualFold(c.UUID, uuid) {
			return true
		}
	}
	return false
}

func (p *planner) contents(d block.Device) []block.Content {
	if found, looked := p.seen.Storage.Contents[d.Name]; looked {
		return found
	}
	if d.Signature == "" {
		return nil
	}
	return []block.Content{{Type: d.Signature, Label: d.Label, UUID: d.UUID}}
}

// elsewhere finds the device that holds a file system of that UUID.
func (p *planner) elsewhere(uuid string) (block.Device, bool) {
	for _, d := range p.seen.Storage.Blocks.Devices() {
		if strings.EqualFold(d.UUID, uuid) && slices.Contains([]string{filesystem.XFS, filesystem.Ext4, filesystem.Btrfs}, d.Signature) {
			return d, true
		}
	}
	return block.Device{}, false
}
