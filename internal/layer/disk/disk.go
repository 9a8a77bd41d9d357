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
	named := slices.ContainsFunc(seen.Destroy, ofStorage) || len(wishes(seen.Destroy)) > 0
	if !declared.Storage.Declared() && (seen.InForce == nil || !seen.InForce.Storage.Declared()) && !named && !seen.Look {
		return nil
	}
	if s.Blocks, s.Err = block.Read(ctx, l.Machine); s.Err != nil {
		return ctx.Err()
	}
	s.Medium = block.Media(s.Blocks)
	s.Contents, s.Unread = map[string][]block.Content{}, map[string]error{}
	for _, path := range l.wanted(declared, seen) {
		d, ok := s.Blocks.Find(path)
		if !ok || seen.Refuses(d) != "" {
			continue // it is in use, or must not be read: a suspended one would hang
		}
		if _, looked := s.Contents[d.Name]; looked {
			continue
		}
		found, err := block.Contents(ctx, l.Machine, d.Path)
		if err != nil {
			s.Unread[d.Name] = err // Claim says so
			continue
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

// Discards begins the names in --destroy of disks that are wiped and told that
// nothing on them is needed any more: discard/virtio-data01.
const Discards = "discard/"

const wipes = "disk/"

// wish is a disk that is named as given up.
type wish struct {
	object  string // disk/virtio-data01, discard/virtio-data01
	disk    string // virtio-data01
	discard bool
}

// wishes are the disks that are named, each once: who discards one wipes it.
func wishes(destroy []string) []wish {
	var all []wish
	for i, name := range destroy {
		if slices.Contains(destroy[:i], name) {
			continue
		}
		if disk, ok := strings.CutPrefix(name, wipes); ok && !slices.Contains(destroy, Discards+disk) {
			all = append(all, wish{name, disk, false})
		}
		if disk, ok := strings.CutPrefix(name, Discards); ok {
			all = append(all, wish{name, disk, true})
		}
	}
	return all
}

// wanted are the paths of block devices that a document uses, and those that
// are named as given up.
func (l Layer) wanted(declared *config.Document, seen *layer.Observed) []string {
	paths := declared.Storage.Uses()
	for _, w := range wishes(seen.Destroy) {
		paths = append(paths, find(w.disk, seen.Storage.Blocks))
	}
	return paths
}

// find is the path of a disk by its name in --destroy.
func find(name string, inv *block.Inventory) string {
	for _, p := range []string{"/dev/disk/by-id/" + name, "/dev/" + name} {
		if _, ok := inv.Find(p); ok {
			return p
		}
	}
	return "/dev/" + name
}

// Plan wipes and discards disks that nothing uses and that are named as given
// up. Those that an object is made on are wiped with that (Wipe).
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	used := declared.Storage.Uses()
	for _, w := range wishes(seen.Destroy) {
		if seen.Storage.Blocks == nil {
			b.Problem(w.object, "the block devices could not be looked at: %v", seen.Storage.Err)
			continue
		}
		uses := slices.ContainsFunc(used, func(p string) bool { return config.DiskObject(p) == wipes+w.disk })
		if uses && !w.discard {
			continue // it is wiped if something is made on it
		}
		c := seen.Claim(declared, b, find(w.disk, seen.Storage.Blocks))
		c.Object = w.object
		switch {
		case uses:
			b.Problem(w.object, "%s is declared as a part of the storage; take it out of the document first", c.Path)
		case c.Missing != "":
			b.Problem(w.object, "%s", c.Missing)
		case c.Refused != "":
			b.Problem(w.object, "%s", c.Refused)
		case w.discard && !c.Device.Discards:
			b.Problem(w.object, "%s does not take discards; wipe it instead", c.Path)
		case w.discard:
			discard(l.Machine, c, b)
		case c.Loses == "":
			b.Note(w.object, "%s is blank", c.Path)
		default:
			Wipe(l.Machine, c, b)
		}
	}
}

// discard plans to discard all of a disk. Its middle may hold something though
// its ends are blank.
func discard(m block.Wiper, c layer.Claim, b *plan.Builder) {
	d, loses := c.Device, c.Loses
	if loses == "" {
		loses = fmt.Sprintf("whatever is on %s (%s) is lost", c.Path, layer.Describe(d))
	}
	b.Add(plan.Step{
		ID: plan.StepID("discard", c.Object), Layer: Layer{}.Name(), Object: c.Object, Action: plan.Delete, Phase: plan.Build, Needs: c.Needs,
		Sentence: fmt.Sprintf("Discard all of %s", c.Path), Destroys: loses,
		Do: func(ctx context.Context, _ plan.Report) error { return block.Discard(ctx, m, d) },
	})
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
		d := c.Device
		b.Add(plan.Step{
			ID: id, Layer: Layer{}.Name(), Object: c.Object, Action: plan.Delete, Phase: plan.Build,
			Needs:    c.Needs,
			Sentence: fmt.Sprintf("Wipe %s", c.Path),
			Destroys: c.Loses,
			Do:       func(ctx context.Context, _ plan.Report) error { return block.Wipe(ctx, m, d) },
		})
	}
	return append([]plan.ID{id}, c.Needs...)
}
