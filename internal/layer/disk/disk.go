// Package disk is the lowest layer of the storage stack: it looks at the block
// devices of the machine, and wipes one when its name is given for that.
package disk

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine
	block.Prober
	block.Wiper
}

// Layer looks at disks.
type Layer struct{ Machine Machine }

// Name is disk.
func (Layer) Name() string { return "disk" }

// Declares says whether a document, or what it replaces, has anything for the
// storage stack.
func Declares(d *config.Document) bool { return d.Storage.Declared() }

// Observe lists the block devices, and looks at what is on those that the
// document wants to use and that nothing stands on.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	s := &seen.Storage
	wipes := slices.ContainsFunc(seen.Destroy, ofStorage)
	if !declared.Storage.Declared() && (seen.InForce == nil || !seen.InForce.Storage.Declared()) && !wipes && !seen.Look {
		return nil
	}
	if s.Blocks, s.Err = block.Read(ctx, l.Machine); s.Err != nil {
		return ctx.Err()
	}
	s.Medium = block.Media(s.Blocks)
	s.Contents = map[string][]block.Content{}
	for _, path := range l.wanted(declared, seen) {
		d, ok := s.Blocks.Find(path)
		if !ok || slices.ContainsFunc(d.Above, func(n string) bool { up, _ := s.Blocks.Named(n); return up.Type != "part" }) {
			continue
		}
		found, err := block.Contents(ctx, l.Machine, d.Path)
		if err != nil {
			continue // Claim says that it could not be read
		}
		s.Contents[d.Name] = found
	}
	return ctx.Err()
}

// ofStorage says whether a name that is given up is one of the storage stack.
// What ESOS made once is known again, though no document declares it any more.
func ofStorage(name string) bool {
	kind, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"disk", "array", "encrypted", "volume-group", "volume", "filesystem"}, kind)
}

// wanted are the paths of block devices that a document uses, and those that
// are named as given up.
func (l Layer) wanted(declared *config.Document, seen *layer.Observed) []string {
	paths := declared.Storage.Uses()
	for _, name := range seen.Destroy {
		if disk, ok := strings.CutPrefix(name, "disk/"); ok {
			paths = append(paths, l.find(disk, seen.Storage.Blocks))
		}
	}
	return paths
}

// find is the path of a disk by its name in --destroy.
func (Layer) find(name string, inv *block.Inventory) string {
	for _, p := range []string{"/dev/disk/by-id/" + name, "/dev/" + name} {
		if _, ok := inv.Find(p); ok {
			return p
		}
	}
	return "/dev/" + name
}

// Plan wipes disks that nothing uses and that are named as given up. Those
// that an object is made on are wiped by Clear.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	used := declared.Storage.Uses()
	for _, name := range seen.Destroy {
		short, ok := strings.CutPrefix(name, "disk/")
		if !ok || seen.Storage.Blocks == nil || slices.ContainsFunc(used, func(p string) bool { return config.DiskObject(p) == name }) {
			continue
		}
		c := seen.Claim(declared, b, l.find(short, seen.Storage.Blocks))
		c.Object = name
		switch {
		case c.Missing != "":
			b.Problem(name, "%s", c.Missing)
		case c.Refused != "":
			b.Problem(name, "%s", c.Refused)
		case c.Loses == "":
			b.Note(name, "%s is blank", c.Path)
		default:
			Wipe(l.Machine, c, b)
		}
	}
}

// Wipe plans to take away what is on a device that is claimed, unless that is
// planned already or nothing is there. It returns what the step that uses the
// device needs.
func Wipe(m block.Wiper, c layer.Claim, b *plan.Builder) []plan.ID {
	if c.Loses == "" {
		return c.Needs
	}
	id := c.WipeID()
	if !b.Has(id) {
		path, size := c.Device.Path, c.Device.Size
		b.Add(plan.Step{
			ID: id, Layer: Layer{}.Name(), Object: c.Object, Action: plan.Delete, Phase: plan.Build,
			Needs:    c.Needs,
			Sentence: fmt.Sprintf("Wipe %s", c.Path),
			Destroys: c.Loses,
			Do:       func(ctx context.Context, _ plan.Report) error { return block.Wipe(ctx, m, path, size) },
		})
	}
	return append([]plan.ID{id}, c.Needs...)
}
