package appliance

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/enclosure"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/layer"
	disklayer "github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/encrypted"
	"github.com/esos-project/esos/internal/layer/filesystem"
	"github.com/esos-project/esos/internal/layer/lvm"
	"github.com/esos-project/esos/internal/layer/multipath"
	"github.com/esos-project/esos/internal/layer/raid"
	"github.com/esos-project/esos/internal/layer/remote"
)

// StorageMachine is what the storage stack is seen and set up through:
// host.Linux, or an imitation (storagefake.Machine).
type StorageMachine interface {
	disklayer.Machine
	enclosure.Machine
	remote.Machine
	multipath.Machine
	raid.Machine
	lvm.Machine
	encrypted.Machine
	filesystem.Machine
}

// storageLayers are the layers of the storage stack, from the bottom up.
func storageLayers(o Options, keys *storageKeys) []layer.Layer {
	return []layer.Layer{
		disklayer.Layer{Machine: o.Storage},
		remote.Layer{Machine: o.Storage},
		multipath.Layer{Machine: o.Storage},
		raid.Layer{Machine: o.Storage, DataDir: o.DataDir},
		encrypted.Layer{Machine: o.Storage, Keys: keys, DataDir: o.DataDir},
		lvm.Layer{Machine: o.Storage, Backups: filepath.Join(o.DataDir, "lvm")},
		encrypted.Layer{Machine: o.Storage, Keys: keys, DataDir: o.DataDir, OnVolumes: true},
		filesystem.Layer{Machine: o.Storage},
	}
}

// ownStorage are those that set up what a document declares: all of them where
// the machine is ESOS's own, and one that refuses elsewhere.
func ownStorage(o Options, storage []layer.Layer) []layer.Layer {
	if o.OwnsMachine {
		return storage
	}
	return []layer.Layer{layer.IfOwner(false, layer.Named("storage"), disklayer.Declares)}
}

// Storage is what devices stand on, as it is now.
type Storage struct {
	layer.Storage
	// Declared is the document in force, Seen what of the machine the layers
	// saw: together they say who has a block device (Holder).
	Declared *config.Document
	Seen     *layer.Observed
	Slots    map[string]enclosure.Slot // by the kernel's name of the disk
	Health   map[string]smart.Entry    // by smart.Key, as of the last look
}

// Holder says who has a block device.
func (s Storage) Holder(d block.Device) layer.Holder { return s.Seen.Holder(s.Declared, d) }

// Storage looks at what devices stand on; on a machine that is not ESOS's own,
// too, where nothing of it is set up.
func (a *Appliance) Storage(ctx context.Context) (Storage, error) {
	doc, _ := a.inForce()
	seen := &layer.Observed{InForce: doc, Look: true}
	if err := layer.Observe(ctx, a.storage, doc, seen); err != nil {
		return Storage{}, fmt.Errorf("look at the storage: %w", err)
	}
	if seen.Storage.Blocks == nil {
		return Storage{}, fmt.Errorf("look at the disks: %w", seen.Storage.Err)
	}
	if err := seen.Read(ctx, a.engine); err != nil {
		return Storage{}, err
	}
	slots, err := enclosure.Slots(a.disks)
	if err != nil {
		a.log.Warn("slots of disks are not known", "err", err)
	}
	return Storage{Storage: seen.Storage, Declared: doc, Seen: seen, Slots: slots, Health: a.health.All()}, nil
}

// FindDisk finds a block device by what people call it: a name in
// /dev/disk/by-id, a path, the kernel's name. The error wraps
// config.ErrNotFound.
func (s Storage) FindDisk(name string) (block.Device, error) {
	for _, p := range []string{"/dev/disk/by-id/" + name, name, "/dev/" + name} {
		if d, ok := s.Blocks.Find(p); ok {
			return d, nil
		}
	}
	return block.Device{}, fmt.Errorf("disk %q: %w; 'esos disk list' shows what is there", name, config.ErrNotFound)
}

// LocateDisk makes the LED at a disk blink, or stop.
func (a *Appliance) LocateDisk(ctx context.Context, name string, on bool) error {
	if !a.ownsMachine {
		return fmt.Errorf("locate disk %s: %w", name, ErrNotOwner)
	}
	inv, err := block.Read(ctx, a.disks)
	if err != nil {
		return err
	}
	d, err := Storage{Storage: layer.Storage{Blocks: inv}}.FindDisk(name)
	if err != nil {
		return err
	}
	if d = inv.Disk(d); d.Type != "disk" {
		return fmt.Errorf("locate %s: it is no disk but %s of Linux's making; locate the disks below it", name, d.Type)
	}
	return enclosure.Locate(ctx, a.disks, d.Name, on)
}

// StorageChanged says that block devices came, went or changed. Where the
// document stands on any, what is served is brought to what is declared soon,
// and what is gone is told by Status. Where nothing differs nothing is done,
// and so no event comes of it.
func (a *Appliance) StorageChanged() {
	doc, _ := a.inForce()
	if doc.Storage.Declared() || slices.ContainsFunc(doc.Devices, func(d config.Device) bool { return strings.HasPrefix(d.Path, "/dev/") }) {
		a.Kick()
	}
}
