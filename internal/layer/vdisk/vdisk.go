// Package vdisk is the layer of stores: the image files of vdisk_fileio
// devices, which it makes, grows and, when told by name, deletes; and a look
// at the files and block devices of other devices, so that one that is
// missing is told before anything is touched.
package vdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Files is the part of the host that this layer works with (host.Files).
type Files interface {
	Stat(path string) (host.FileInfo, error)
	Create(ctx context.Context, path string, size int64, allocate bool, progress func(done int64)) error
	Grow(ctx context.Context, path string, size int64, allocate bool, progress func(done int64)) error
	Remove(path string) error
	// Volatile names the file system that keeps what is in dir only until the
	// machine is switched off; "" if it outlives that.
	Volatile(dir string) (string, error)
}

// SCSI finds the SCSI devices of this machine (host.SCSI).
type SCSI interface {
	Find(path string) (host.SCSIDevice, error)
}

// Layer plans image files.
type Layer struct {
	Files   Files
	SCSI    SCSI
	DataDir string // relative paths are below it; absolute, without symbolic links
	// InMemory says that the root of this machine is in memory. Image files
	// that would be gone at the next reboot are refused then.
	InMemory bool
}

// Name is vdisk.
func (Layer) Name() string { return "vdisk" }

// Observe looks at the store of each device that is declared, or was.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	seen.Stores = map[string]layer.Store{}
	look := func(devices []config.Device) {
		for _, d := range devices {
			_, known := seen.Stores[d.Path]
			switch {
			case d.Path == "" || known:
			case d.Handler.PassThrough():
				seen.Stores[d.Path] = l.find(d.Path)
			default:
				seen.Stores[d.Path] = l.look(d.Path)
			}
		}
	}
	look(declared.Devices)
	if seen.InForce != nil {
		look(seen.InForce.Devices)
	}
	return ctx.Err()
}

// find looks at a SCSI device that is passed on. A disk is the same store as
// when it is served as a block device.
func (l Layer) find(path string) layer.Store {
	d, err := l.SCSI.Find(path)
	if err != nil {
		return layer.Store{Err: err}
	}
	s := layer.Store{Exists: true}
	if fi, err := l.Files.Stat(d.Node); err == nil && fi.Block {
		s.Block, s.ID = true, fi.ID
	}
	return s
}

func (l Layer) look(path string) layer.Store {
	fi, err := l.Files.Stat(l.full(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return layer.Store{Err: err}
	}
	var volatile string
	if l.InMemory && !fi.Block {
		kind, err := l.Files.Volatile(l.directory(path))
		if err != nil {
			return layer.Store{Err: err}
		}
		volatile = kind
	}
	if err != nil {
		return layer.Store{Volatile: volatile}
	}
	s := layer.Store{Volatile: volatile, Exists: true, Size: fi.Size, Allocated: fi.Allocated, Block: fi.Block, ID: fi.ID}
	if filepath.IsAbs(path) {
		// Below the data directory it is left at the name: it takes a look at
		// each directory on the way, and links there are root's.
		s.Real = host.Real(path)
	}
	return s
}

// directory is where the file that a path leads to is, or would be.
func (l Layer) directory(path string) string {
	full := l.full(path)
	if real := host.Real(full); real != "" {
		full = real
	}
	return filepath.Dir(full)
}

func (l Layer) full(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.DataDir, path)
}

// Plan makes image files that are missing and grows those that are too small.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	paths := make(map[string]bool, len(declared.Devices))
	users := make(map[host.FileID]config.Device, len(declared.Devices))
	for _, d := range declared.Devices {
		paths[d.Path] = true
		if d.Path == "" {
			continue
		}
		store := seen.Stores[d.Path]
		if l.ours(d.Path, store) {
			l.unavailable(d, seen, b, d.Path+" is where the array keeps its own state; use devices/... or another directory")
			continue
		}
		if other, twice := users[store.ID]; twice && d.Handler != config.CDROM && other.Handler != config.CDROM {
			// By a link, another spelling or another device node.
			l.unavailable(d, seen, b, fmt.Sprintf("%s is the store of device %s (%s), too; two devices on one store destroy its data", d.Path, other.Name, other.Path))
			continue
		}
		if store.ID != (host.FileID{}) {
			users[store.ID] = d
		}
		if why := b.Why(declared.Storage.Provider(d.Path)); why != "" {
			l.unavailable(d, seen, b, fmt.Sprintf("%s cannot be had, since %s cannot: %s", d.Path, declared.Storage.Provider(d.Path), why))
			continue
		}
		if l.arriving(d, store, declared, seen, b) {
			continue
		}
		if why := unmounted(d, declared, seen); why != "" {
			l.unavailable(d, seen, b, why)
			continue
		}
		switch {
		case store.Err != nil:
			l.unavailable(d, seen, b, store.Err.Error())
		case d.Handler == config.FileIO && store.Volatile != "" && (store.Exists || !l.declaredBefore(d, seen)):
			l.unavailable(d, seen, b, volatile(d, store))
		case d.Handler == config.FileIO && store.Exists:
			l.existing(d, store, seen, b)
		case d.Handler == config.FileIO:
			l.missing(d, seen, b)
		case !store.Exists:
			l.unavailable(d, seen, b, fmt.Sprintf("%s does not exist", d.Path))
		case d.Handler == config.BlockIO && !store.Block:
			b.Problem("device/"+d.Name, "%s is a file, no block device; its handler is vdisk_fileio", d.Path)
		case d.Handler == config.CDROM && store.Volatile != "":
			b.Note("device/"+d.Name, "%s is in memory (%s), and the drive is empty after a reboot", d.Path, store.Volatile)
		}
	}
	if seen.InForce == nil {
		return
	}
	for _, d := range seen.InForce.Devices {
		if d.Handler != config.FileIO || paths[d.Path] {
			continue
		}
		if user, used := users[seen.Stores[d.Path].ID]; used {
			b.Note("image/"+d.Name, "file %s stays: it is served as device %s (%s)", d.Path, user.Name, user.Path)
			continue
		}
		l.removed(d, seen, b)
	}
}

// ours says whether a path, or what it leads to, belongs to the daemon: its
// documents hold secrets, and who could write them could rule the array.
func (l Layer) ours(path string, store layer.Store) bool {
	for _, p := range []string{l.full(path), store.Real} {
		if rel, err := filepath.Rel(l.DataDir, p); p != "" && err == nil && filepath.IsLocal(rel) && config.Reserved(rel) {
			return true
		}
	}
	return false
}

// unavailable refuses a new device whose store cannot be had, and leaves out
// one that was declared before: the rest of the array is to be served.
func (l Layer) unavailable(d config.Device, seen *layer.Observed, b *plan.Builder, why string) {
	if l.declaredBefore(d, seen) {
		b.Block("device/"+d.Name, "%s; it is left as it is", why)
		return
	}
	b.Problem("device/"+d.Name, "%s", why)
}

// declaredBefore says whether the document in force has the device on this store.
func (l Layer) declaredBefore(d config.Device, seen *layer.Observed) bool {
	v, ok := seen.Before("device/" + d.Name)
	if !ok {
		return false
	}
	before := v.(config.Device)
	return before.Handler == d.Handler && before.Path == d.Path
}

// volatile says why an image file is refused that a reboot would take away,
// with the data of whoever was told that it is a disk.
func volatile(d config.Device, store layer.Store) string {
	would := "would live in memory (" + store.Volatile + ") and be"
	if store.Exists {
		would = "lives in memory (" + store.Volatile + ") and is"
	}
	return fmt.Sprintf("disk file %s %s gone at the next reboot: put it on a mounted file system, such as /mnt/vdisks/NAME/%s.img, "+
		"or use vdisk_blockio with a disk (vdisk_memory, if a disk in memory is what you want)", d.Path, would, d.Name)
}

func (l Layer) missing(d config.Device, seen *layer.Observed, b *plan.Builder) {
	object := "image/" + d.Name
	if l.declaredBefore(d, seen) {
		// A file system that is not mounted looks the same as a file that is
		// gone: an empty image in its place would be served as the data.
		b.Block("device/"+d.Name, "its image file %s is missing; bring it back, or remove the device to give it up", d.Path)
		return
	}
	if d.Size == 0 {
		b.Problem("device/"+d.Name, "%s does not exist; give the device a size to have it made", d.Path)
		return
	}
	full, size, thick := l.full(d.Path), int64(d.Size), d.Provisioning == config.Thick
	kind := "thin"
	if thick {
		kind = "thick"
	}
	made := false
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Create, Phase: plan.Prepare,
		Sentence: fmt.Sprintf("Create image file %s of %s (%s)", d.Path, d.Size.Human(), kind),
		Do: func(ctx context.Context, report plan.Report) error {
			err := l.Files.Create(ctx, full, size, thick, progress(report, 0, size))
			made = err == nil
			return err
		},
		Undo: func(context.Context) error {
			// Only what this step made: a file that was there is somebody's.
			if !made {
				return nil
			}
			return l.Files.Remove(full)
		},
	})
}

func (l Layer) existing(d config.Device, store layer.Store, seen *layer.Observed, b *plan.Builder) {
	object := "image/" + d.Name
	has := config.Size(store.Size)
	switch {
	case store.Block:
		b.Problem("device/"+d.Name, "%s is a block device; its handler is vdisk_blockio", d.Path)
		return
	case has == 0 && d.Size == 0:
		b.Problem("device/"+d.Name, "%s is empty; give the device a size", d.Path)
		return
	case !l.declaredBefore(d, seen):
		b.Note(object, "%s exists already (%s); it is served with what it holds", d.Path, has.Human())
	}
	switch {
	case d.Size > has:
		full, thick := l.full(d.Path), d.Provisioning == config.Thick
		b.Add(plan.Step{
			Layer: l.Name(), Object: object, Action: plan.Change, Phase: plan.Prepare,
			Sentence: fmt.Sprintf("Grow image file %s from %s to %s", d.Path, has.Human(), d.Size.Human()),
			Do: func(ctx context.Context, report plan.Report) error {
				return l.Files.Grow(ctx, full, int64(d.Size), thick, progress(report, int64(has), int64(d.Size)))
			},
			// An initiator may have seen the new size: it is never taken back,
			// and a larger file than declared does no harm.
			Undo: func(context.Context) error { return nil },
		})
	case d.Size != 0 && d.Size < has:
		if !l.declaredBefore(d, seen) {
			b.Problem("device/"+d.Name, "%s exists already and has %s, more than the %s asked for; leave the size out to serve it as it is, or give another path", d.Path, has.Human(), d.Size.Human())
			return
		}
		if v, _ := seen.Before("device/" + d.Name); v.(config.Device).Size == d.Size {
			b.Note(object, "%s has %s, more than the declared %s; it is served whole", d.Path, has.Human(), d.Size.Human())
			return
		}
		b.Problem("device/"+d.Name, "%s has %s and is not cut to %s: shrinking destroys data; remove the device and make a new one", d.Path, has.Human(), d.Size.Human())
	}
}

// removed keeps the image of a device that is not declared any more, unless
// its deletion is asked for by name.
func (l Layer) removed(d config.Device, seen *layer.Observed, b *plan.Builder) {
	object := "image/" + d.Name
	store := seen.Stores[d.Path]
	if !store.Exists || store.Block {
		return
	}
	size := config.Size(store.Size)
	if below := seen.InForce.Storage.Provider(d.Path); below != "" && slices.Contains(seen.Destroy, below) {
		return // it goes with its file system
	}
	if !slices.Contains(seen.Destroy, object) {
		b.Note(object, "file %s (%s) stays; name --destroy %s to delete it with its data", d.Path, size.Human(), object)
		return
	}
	full := l.full(d.Path)
	b.Add(plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Delete, Phase: plan.Final,
		Needs:    []plan.ID{plan.StepID(plan.Delete, "device/"+d.Name)},
		Sentence: fmt.Sprintf("Delete image file %s", d.Path),
		Destroys: fmt.Sprintf("%s with %s of data is lost", size.Human(), config.Size(store.Allocated).Human()),
		Do:       func(context.Context, plan.Report) error { return l.Files.Remove(full) },
	})
}

// progress turns bytes done into a fraction of what is to be done.
func progress(report plan.Report, from, to int64) func(int64) {
	return func(done int64) {
		if report != nil && to > from {
			report(float64(done-from) / float64(to-from))
		}
	}
}
