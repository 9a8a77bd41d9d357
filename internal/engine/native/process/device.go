package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi"
	"github.com/esos-project/esos/scsi/cdrom"
	"github.com/esos-project/esos/scsi/disk"
)

// Handlers, in SCST's words (config.Handler).
const (
	fileIO  = "vdisk_fileio"
	blockIO = "vdisk_blockio"
	nullIO  = "vdisk_nullio"
	memory  = "vdisk_memory"
	cdRom   = "vcdrom"
)

// device is a device that is served: a disk or a drive, never both.
type device struct {
	spec    control.Device // as it was asked for; guarded by Process.mu
	store   backing.Store  // nil for an empty drive
	journal *journal       // nil without one
	disk    *disk.Disk
	drive   *cdrom.Drive
	unit    *scsi.Unit
	failed  atomic.Int64 // when a failure of the store was last told, Unix nanoseconds
}

// putDevice serves a device, or changes what may change of one.
func (p *Process) putDevice(spec control.Device, f *files) (control.Device, error) {
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.RLock()
	d := p.devices[spec.Name]
	p.mu.RUnlock()
	if d != nil {
		if err := p.changeDevice(d, spec, f); err != nil {
			return control.Device{}, err
		}
	} else {
		var err error
		if d, err = p.newDevice(spec, f); err != nil {
			return control.Device{}, err
		}
		p.mu.Lock()
		p.devices[spec.Name] = d
		p.mu.Unlock()
		p.access.apply(spec.Name)
	}
	return d.served(), nil
}

// newDevice makes a device of what the daemon opened for it.
func (p *Process) newDevice(spec control.Device, f *files) (*device, error) {
	id, err := identity(spec)
	if err != nil {
		return nil, err
	}
	d := &device{spec: spec}
	if spec.Handler == cdRom {
		if d.store, err = newMedium(f); err != nil {
			return nil, err
		}
		// The drive tells of a medium only after it was made, so after unit is set.
		if d.drive, err = cdrom.New(d.store, func() { d.unit.MediumChanged() }); err != nil {
			return nil, errors.Join(err, d.close())
		}
		d.unit = scsi.NewUnit(id, d.drive)
		return d, nil
	}
	if d.store, err = newStore(spec, f); err != nil {
		return nil, err
	}
	opt := disk.Options{
		BlockSize: spec.BlockSize, ReadOnly: spec.ReadOnly, Removable: spec.Removable, Rotational: spec.Rotational,
		Thin: thin(spec), WriteThrough: spec.WriteThrough, Volatile: spec.Handler == memory || spec.Handler == nullIO,
		Failed: func(op string, off int64, err error) { p.storeFailed(d, op, off, err) },
	}
	if spec.Handler == fileIO && (spec.ODirect || spec.Rotational) {
		// Without the page cache a part of such a block is written by reading
		// the whole one first; and disks that rotate are of this format.
		// Initiators are told to align.
		opt.PhysicalBlockSize = 4096
	}
	if !opt.Volatile && !spec.ReadOnly {
		if d.journal, err = newJournal(p.opt.StateDir, spec); err != nil {
			return nil, errors.Join(err, d.close())
		}
		opt.Journal = d.journal
	}
	if d.disk, err = disk.New(d.store, opt); err != nil {
		return nil, errors.Join(err, d.close())
	}
	d.unit = scsi.NewUnit(id, d.disk, scsi.WithAccessSetter(func(states map[uint16]scsi.AccessState) error {
		return p.access.set(spec.Name, states)
	}))
	if !opt.Volatile {
		if err := d.unit.LoadReservations(p.reservations); err != nil {
			// Served without them, it would let in whom they kept out.
			return nil, errors.Join(fmt.Errorf("%w; to serve the device without its reservations remove their file from the state directory", err), d.close())
		}
	}
	return d, nil
}

// newStore makes the store of a disk.
func newStore(spec control.Device, f *files) (backing.Store, error) {
	switch spec.Handler {
	case memory:
		if err := fitsMemory(spec.Size); err != nil {
			return nil, err
		}
		return backing.NewMemory(spec.Size), nil
	case nullIO:
		return backing.NewNull(spec.Size), nil
	case fileIO, blockIO:
		file := f.take()
		if file == nil {
			return nil, control.Errorf(control.Refused, "no file came with %s", spec.Handler)
		}
		opt := backing.FileOptions{ReadOnly: spec.ReadOnly}
		if spec.Handler == blockIO {
			opt.CacheUnless = spec.BlockSize // 512 byte blocks on a drive of 4096 byte sectors
		}
		s, err := backing.NewFile(file, opt)
		if err != nil {
			file.Close()
			return nil, err
		}
		if a := s.Alignment(); a > 0 && spec.BlockSize%a != 0 {
			s.Close()
			return nil, control.Errorf(control.Refused,
				"direct I/O on %s needs multiples of %d bytes, but the device's blocks have %d; set block_size to 4096 or leave o_direct out", spec.Path, a, spec.BlockSize)
		}
		return s, nil
	}
	return nil, control.Errorf(control.Refused, "there is no handler %q", spec.Handler)
}

// fitsMemory refuses a memory disk that is larger than the machine's memory:
// filling it would end the process, and all other devices with it.
func fitsMemory(size int64) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return fmt.Errorf("read the size of the memory: %w", err)
	}
	if total := int64(info.Totalram) * int64(info.Unit); size < 0 || size > total {
		return control.Errorf(control.Refused, "a memory disk of %d bytes does not fit into this machine's %d bytes of memory", size, total)
	}
	return nil
}

// newMedium makes the store of a CD; nil if no file came.
func newMedium(f *files) (backing.Store, error) {
	file := f.take()
	if file == nil {
		return nil, nil
	}
	s, err := backing.NewFile(file, backing.FileOptions{ReadOnly: true})
	if err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// thin says whether initiators may give space back: a thick file is to keep it,
// and what null forgets was never there.
func thin(spec control.Device) bool {
	return spec.Handler == fileIO && spec.Thin || spec.Handler == memory || spec.Handler == nullIO
}

// changeDevice brings a device to what spec says, as far as that can be done
// under its initiators.
func (p *Process) changeDevice(d *device, spec control.Device, f *files) error {
	if fixed := fixedDifferences(d.spec, spec); len(fixed) > 0 {
		return control.Errorf(control.Refused, "%s of a device cannot change while it is served; delete the device and create it anew",
			strings.Join(fixed, ", "))
	}
	if d.drive != nil {
		if spec.Path != d.spec.Path {
			if err := d.changeMedium(spec, f); err != nil {
				return err
			}
		}
	} else if err := d.resize(spec); err != nil {
		return err
	}
	p.mu.Lock()
	d.spec = spec
	p.mu.Unlock()
	return nil
}

// fixedDifferences names what differs between two devices and cannot change in
// one that is served.
func fixedDifferences(a, b control.Device) []string {
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"handler", a.Handler == b.Handler},
		{"path", a.Path == b.Path || a.Handler == cdRom},
		{"provisioning", a.Thin == b.Thin},
		{"block_size", a.BlockSize == b.BlockSize},
		{"write_through", a.WriteThrough == b.WriteThrough},
		{"o_direct", a.ODirect == b.ODirect},
		{"read_only", a.ReadOnly == b.ReadOnly},
		{"removable", a.Removable == b.Removable},
		{"rotational", a.Rotational == b.Rotational},
		{"identity", a.Identity == b.Identity},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}

// resize takes over the size that the store has now and tells the initiators.
func (d *device) resize(spec control.Device) error {
	switch s := d.store.(type) {
	case *backing.Memory:
		if spec.Size < s.Size() {
			return control.Errorf(control.Refused, "a device cannot become smaller (%d to %d bytes)", s.Size(), spec.Size)
		}
		if err := fitsMemory(spec.Size); err != nil {
			return err
		}
		s.Grow(spec.Size)
	case *backing.Null:
		if spec.Size < s.Size() {
			return control.Errorf(control.Refused, "a device cannot become smaller (%d to %d bytes)", s.Size(), spec.Size)
		}
		s.Grow(spec.Size)
	}
	changed, err := d.disk.Refresh()
	if err != nil {
		return fmt.Errorf("read the new size: %w", err)
	}
	if changed {
		d.unit.CapacityChanged()
	}
	return nil
}

// changeMedium ejects what is in the drive and inserts what came along.
func (d *device) changeMedium(spec control.Device, f *files) error {
	store, err := newMedium(f)
	if err != nil {
		return err
	}
	if (store == nil) != (spec.Path == "") {
		return control.Errorf(control.Refused, "a medium comes with its file, and only then")
	}
	old, err := d.drive.Eject(false)
	if err == nil && store != nil {
		_, err = d.drive.Insert(store)
	}
	if errors.Is(err, cdrom.ErrPrevented) {
		err = control.Errorf(control.InUse, "the medium cannot be taken out: an initiator has locked the drive; unmount or eject it there first")
	}
	if err != nil {
		if store != nil {
			store.Close()
		}
		return err
	}
	d.store = store
	if old != nil {
		old.Close()
	}
	return nil
}

// deleteDevice ends serving a device.
func (p *Process) deleteDevice(name string) error {
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.Lock()
	d := p.devices[name]
	if d == nil {
		p.mu.Unlock()
		return nil
	}
	if user := p.userOf(name); user != "" {
		p.mu.Unlock()
		return control.Errorf(control.InUse, "device %s is %s; unmap it first", name, user)
	}
	delete(p.devices, name)
	p.mu.Unlock()
	// Nothing is begun any more: no task is left.
	err := d.close()
	if d.journal != nil {
		err = errors.Join(err, d.journal.remove())
	}
	return err
}

// userOf names a LUN that leads to a device; "" if none does. The caller holds mu.
func (p *Process) userOf(device string) string {
	find := func(m control.Map, luns []control.LUN) string {
		for _, l := range luns {
			if l.Device == device {
				return fmt.Sprintf("LUN %d of %s", l.LUN, in(m))
			}
		}
		return ""
	}
	for _, t := range p.targets {
		if s := find(control.Map{Target: t.spec.Name}, t.spec.LUNs); s != "" {
			return s
		}
		for _, g := range t.spec.Groups {
			if s := find(control.Map{Target: t.spec.Name, Group: g.Name}, g.LUNs); s != "" {
				return s
			}
		}
	}
	return ""
}

// served is the device as it is: with the size that it has.
func (d *device) served() control.Device {
	s := d.spec
	switch {
	case d.disk != nil:
		s.Size = int64(d.disk.Blocks()) * int64(d.disk.BlockSize())
	case d.store != nil:
		s.Size = d.store.Size()
	default:
		s.Size = 0
	}
	return s
}

// sync makes what was written stable.
func (d *device) sync() error {
	if d.disk == nil || d.spec.ReadOnly {
		return nil
	}
	return d.store.Sync()
}

// close gives up what the device holds.
func (d *device) close() error {
	var errs []error
	if d.disk != nil {
		errs = append(errs, d.disk.Close())
	}
	if d.journal != nil {
		errs = append(errs, d.journal.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	return errors.Join(errs...)
}

// quiet is how long a device whose store failed says no more of it.
const quiet = 10 * time.Second

// storeFailed tells that a store failed; it is called on the way of an I/O.
func (p *Process) storeFailed(d *device, op string, off int64, err error) {
	now := time.Now().UnixNano()
	last := d.failed.Load()
	if now-last < int64(quiet) || !d.failed.CompareAndSwap(last, now) {
		return
	}
	p.publish("device.failed", d.spec.Name,
		fmt.Sprintf("device %s: %s at byte %d failed: %v", d.spec.Name, op, off, err),
		map[string]string{"operation": op, "offset": strconv.FormatInt(off, 10), "error": err.Error()})
}

// identity is what initiators know a device by.
func identity(spec control.Device) (scsi.Identity, error) {
	i := spec.Identity
	id := scsi.Identity{
		Name: spec.Name, Vendor: i.Vendor, Product: i.Product, Revision: i.Revision, Serial: i.Serial, T10ID: i.T10ID,
	}
	parse := func(hex string) (n uint64) {
		var err error
		if n, err = strconv.ParseUint(hex, 16, 64); err != nil {
			n = 0
		}
		return n
	}
	switch len(i.NAA) {
	case 0:
	case 16:
		id.NAA = parse(i.NAA)
	case 32:
		id.NAA, id.NAAExt = parse(i.NAA[:16]), parse(i.NAA[16:])
	}
	if i.NAA != "" && id.NAA == 0 {
		return id, control.Errorf(control.Refused, "NAA identifier %q is not 16 or 32 hexadecimal digits", i.NAA)
	}
	return id, nil
}
