// Package cdrom is a CD or DVD drive that holds an ISO file: SCSI device type
// 5 by MMC-6, as far as an operating system and a machine's firmware need it to
// boot and read a disc.
package cdrom

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// SectorSize is the user data of a sector, in bytes. A CD-ROM has no other.
const SectorSize = 2048

// Drive is a CD or DVD drive with or without a disc. It implements scsi.Device.
type Drive struct {
	disc    atomic.Pointer[disc] // what can be read now; nil: no disc, or the tray is open
	changed func()

	mu      sync.Mutex
	inside  *disc // the disc that lies in the tray, open or closed
	open    bool
	prevent map[*scsi.Path]bool       // nexuses that prevent medium removal (MMC-6 6.18)
	events  map[*scsi.Path]mediaEvent // for GET EVENT STATUS NOTIFICATION
}

// disc is a medium; it never changes.
type disc struct {
	store   backing.Store
	sectors uint32
}

// ErrPrevented says that an initiator holds the disc in the drive.
var ErrPrevented = errors.New("an initiator prevents the removal of the disc")

// ErrTooLarge says that an ISO file has more sectors than a drive can address.
var ErrTooLarge = errors.New("the ISO file is larger than the 8 TiB that 32-bit addresses of 2048-byte sectors reach")

// New makes a drive, empty if store is nil. changed is called, without locks
// held, whenever another disc can be read than before; it makes the unit tell
// its initiators (scsi.Unit.MediumChanged).
func New(store backing.Store, changed func()) (*Drive, error) {
	d := &Drive{changed: changed, prevent: map[*scsi.Path]bool{}, events: map[*scsi.Path]mediaEvent{}}
	if store == nil {
		return d, nil
	}
	m, err := newDisc(store)
	if err != nil {
		return nil, err
	}
	d.inside = m
	d.disc.Store(m)
	return d, nil
}

func newDisc(store backing.Store) (*disc, error) {
	sectors := (store.Size() + SectorSize - 1) / SectorSize
	if sectors > 1<<32-1 {
		return nil, ErrTooLarge
	}
	return &disc{store, uint32(sectors)}, nil
}

// Insert puts a disc in and closes the tray. The disc that was inside comes
// out and is returned for the caller to close; nil if there was none.
func (d *Drive) Insert(store backing.Store) (backing.Store, error) {
	m, err := newDisc(store)
	if err != nil {
		return nil, err
	}
	return d.swap(m, false)
}

// Eject takes the disc out and returns its store; nil if there was none. It
// returns ErrPrevented while an initiator prevents removal, unless forced.
func (d *Drive) Eject(force bool) (backing.Store, error) {
	d.mu.Lock()
	if len(d.prevent) > 0 && !force {
		d.announce(eventEjectRequest) // the initiator may let go and eject by itself
		d.mu.Unlock()
		return nil, ErrPrevented
	}
	d.mu.Unlock()
	return d.swap(nil, true)
}

func (d *Drive) swap(m *disc, open bool) (backing.Store, error) {
	d.mu.Lock()
	old := d.inside
	d.inside, d.open = m, open
	d.disc.Store(m)
	event := eventNewMedia
	if m == nil {
		event = eventRemoval
		clear(d.prevent)
	}
	d.announce(event)
	d.mu.Unlock()
	if d.changed != nil {
		d.changed()
	}
	if old == nil {
		return nil, nil
	}
	return old.store, nil
}

// Loaded says whether a disc can be read.
func (d *Drive) Loaded() bool { return d.disc.Load() != nil }

// Type implements scsi.Device: 5, a CD/DVD device.
func (d *Drive) Type() byte { return 0x05 }

// Removable implements scsi.Device.
func (d *Drive) Removable() bool { return true }

// VPD implements scsi.Device: the type has no page of its own here.
func (d *Drive) VPD(_ byte, body []byte) ([]byte, bool) { return body, false }

// VPDPages implements scsi.Device.
func (d *Drive) VPDPages() []byte { return nil }

// Versions implements scsi.Device: MMC-6.
func (d *Drive) Versions() []uint16 { return []uint16{0x04e0} }

// Reset implements scsi.Device: removal is allowed again (MMC-6 6.18.2).
func (d *Drive) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.prevent)
}

// NexusLost implements scsi.Device.
func (d *Drive) NexusLost(p *scsi.Path) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.prevent, p)
	delete(d.events, p)
}

// notReady is the sense while nothing can be read.
func (d *Drive) notReady() scsi.Sense {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open {
		return scsi.Sense{Key: scsi.NotReady, Code: scsi.MediumNotPresentTrayOpen}
	}
	return scsi.Sense{Key: scsi.NotReady, Code: scsi.MediumNotPresentTrayClosed}
}

// loaded returns the disc, or ends the task.
func (d *Drive) loaded(t *scsi.Task) *disc {
	m := d.disc.Load()
	if m == nil {
		t.Fail(d.notReady())
	}
	return m
}

// What a unit asks of a device.
var (
	_ scsi.Device      = (*Drive)(nil)
	_ scsi.Moder       = (*Drive)(nil)
	_ scsi.Conditioner = (*Drive)(nil)
)
