package cdrom

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// Commands implements scsi.Device.
func (d *Drive) Commands() []scsi.Command {
	medium := scsi.ReadsMedium
	free := scsi.NoReservation | scsi.AnyState
	return []scsi.Command{
		{Name: "START STOP UNIT", Op: 0x1b, Usage: []byte{0x1b, 0x01, 0, 0, 0xf3, 0x07}, Access: medium, Do: d.startStop},
		{Name: "PREVENT ALLOW MEDIUM REMOVAL", Op: 0x1e, Usage: []byte{0x1e, 0, 0, 0, 0x03, 0x07}, Access: medium, Do: d.preventAllow},
		{Name: "READ CAPACITY", Op: 0x25, Usage: []byte{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0x07}, Access: medium, Do: d.readCapacity},
		{Name: "READ(10)", Op: 0x28, Usage: []byte{0x28, 0x18, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0x07}, Access: medium, Parse: d.parseRead10, Do: d.read10},
		{Name: "SEEK(10)", Op: 0x2b, Usage: []byte{0x2b, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x07}, Access: medium, Do: d.seek},
		{Name: "READ SUB-CHANNEL", Op: 0x42, Usage: []byte{0x42, 0x02, 0x40, 0xff, 0, 0, 0xff, 0xff, 0xff, 0x07}, Access: medium, Do: d.readSubChannel},
		{Name: "READ TOC/PMA/ATIP", Op: 0x43, Usage: []byte{0x43, 0x02, 0x0f, 0, 0, 0, 0xff, 0xff, 0xff, 0xc7}, Access: medium, Do: d.readTOC},
		{Name: "GET CONFIGURATION", Op: 0x46, Usage: []byte{0x46, 0x03, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0x07}, Access: free, Do: d.getConfiguration},
		{Name: "GET EVENT STATUS NOTIFICATION", Op: 0x4a, Usage: []byte{0x4a, 0x01, 0, 0, 0xff, 0, 0, 0xff, 0xff, 0x07}, Access: free, Do: d.getEvent},
		{Name: "READ DISC INFORMATION", Op: 0x51, Usage: []byte{0x51, 0x07, 0, 0, 0, 0, 0, 0xff, 0xff, 0x07}, Access: medium, Do: d.readDiscInformation},
		{Name: "READ TRACK INFORMATION", Op: 0x52, Usage: []byte{0x52, 0x03, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0x07}, Access: medium, Do: d.readTrackInformation},
		{Name: "READ(12)", Op: 0xa8, Usage: []byte{0xa8, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80, 0x07}, Access: medium, Parse: d.parseRead12, Do: d.read12},
		{Name: "READ DISC STRUCTURE", Op: 0xad, Usage: []byte{0xad, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc0, 0x07}, Access: medium, Do: d.readDiscStructure},
		{Name: "SET CD SPEED", Op: 0xbb, Usage: []byte{0xbb, 0x03, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0x07}, Access: medium, Do: good},
		{Name: "MECHANISM STATUS", Op: 0xbd, Usage: []byte{0xbd, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0x07}, Access: free, Do: d.mechanismStatus},
		{Name: "READ CD", Op: 0xbe, Usage: []byte{0xbe, 0x1e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 0x07, 0x07}, Access: medium, Parse: d.parseReadCD, Do: d.readCD},
	}
}

// good serves commands that have nothing to do on a virtual drive.
func good(*scsi.Task) {}

// startStop is MMC-6 6.43. Spinning up and down has no meaning here; LOEJ
// moves the tray. A disc that an initiator ejected lies in the open tray and
// comes back when the tray is loaded again.
func (d *Drive) startStop(t *scsi.Task) {
	start, loej := t.CDB[4]&0x01 != 0, t.CDB[4]&0x02 != 0
	if t.CDB[4]&0xf0 != 0 || !loej {
		return
	}
	d.mu.Lock()
	if !start && len(d.prevent) > 0 {
		d.mu.Unlock()
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.MediumRemovalPrevented})
		return
	}
	before := d.disc.Load()
	d.open = !start
	if start {
		d.disc.Store(d.inside)
	} else {
		d.disc.Store(nil)
	}
	after := d.disc.Load()
	switch {
	case before == after:
	case after != nil:
		d.announce(eventNewMedia)
	default:
		d.announce(eventRemoval)
	}
	d.mu.Unlock()
	if before != after && after != nil && d.changed != nil {
		d.changed()
	}
}

// preventAllow is MMC-6 6.18; the persistent form is kept like the plain one.
func (d *Drive) preventAllow(t *scsi.Task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.CDB[4]&0x01 != 0 {
		d.prevent[t.Path] = true
	} else {
		delete(d.prevent, t.Path)
	}
}

func (d *Drive) readCapacity(t *scsi.Task) {
	m := d.loaded(t)
	if m == nil {
		return
	}
	var b [8]byte
	binary.BigEndian.PutUint32(b[0:], max(m.sectors, 1)-1)
	binary.BigEndian.PutUint32(b[4:], SectorSize)
	t.Reply(b[:], len(b))
}

func (d *Drive) seek(t *scsi.Task) {
	if m := d.loaded(t); m != nil && binary.BigEndian.Uint32(t.CDB[2:]) >= m.sectors {
		t.Fail(outOfRange(binary.BigEndian.Uint32(t.CDB[2:])))
	}
}

func outOfRange(lba uint32) scsi.Sense {
	return scsi.Sense{Key: scsi.IllegalRequest, Code: scsi.LBAOutOfRange, Info: uint64(lba), HasInfo: true}
}

func (d *Drive) parseRead10(t *scsi.Task) {
	d.parse(t, binary.BigEndian.Uint32(t.CDB[2:]), uint32(binary.BigEndian.Uint16(t.CDB[7:])))
}

func (d *Drive) read10(t *scsi.Task) {
	d.read(t, binary.BigEndian.Uint32(t.CDB[2:]), uint32(binary.BigEndian.Uint16(t.CDB[7:])))
}

func (d *Drive) parseRead12(t *scsi.Task) {
	d.parse(t, binary.BigEndian.Uint32(t.CDB[2:]), binary.BigEndian.Uint32(t.CDB[6:]))
}

func (d *Drive) read12(t *scsi.Task) {
	d.read(t, binary.BigEndian.Uint32(t.CDB[2:]), binary.BigEndian.Uint32(t.CDB[6:]))
}

// READ CD (MMC-6 6.19) serves what a data track of mode 1 has without the
// error correction bytes, which an ISO file does not hold: the user data.
func (d *Drive) parseReadCD(t *scsi.Task) {
	switch sector := t.CDB[1] >> 2 & 7; {
	case sector != 0 && sector != 2:
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: illegalModeForTrack})
	case t.CDB[9]&^0x10 != 0:
		t.Fail(scsi.InvalidField(9))
	case t.CDB[10]&0x07 != 0:
		t.Fail(scsi.InvalidField(10))
	case t.CDB[9] != 0:
		d.parse(t, binary.BigEndian.Uint32(t.CDB[2:]), uint24(t.CDB[6:]))
	}
}

func (d *Drive) readCD(t *scsi.Task) {
	if t.CDB[9] != 0 {
		d.read(t, binary.BigEndian.Uint32(t.CDB[2:]), uint24(t.CDB[6:]))
	}
}

// illegalModeForTrack is ILLEGAL MODE FOR THIS TRACK.
const illegalModeForTrack = 0x6400

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

func (d *Drive) parse(t *scsi.Task, lba, n uint32) {
	m := d.loaded(t)
	switch {
	case m == nil:
	case uint64(lba)+uint64(n) > uint64(m.sectors):
		t.Fail(outOfRange(max(lba, m.sectors)))
	case uint64(n)*SectorSize > maxTransfer:
		t.Fail(scsi.InvalidField(7))
	default:
		t.InLen = int(n) * SectorSize
	}
}

// maxTransfer keeps lengths well within an int and one command within reason.
const maxTransfer = 64 << 20

// read streams sectors into the transport's buffers.
func (d *Drive) read(t *scsi.Task, lba, n uint32) {
	m := d.loaded(t)
	if m == nil {
		return
	}
	total := int(n) * SectorSize
	for t.Moved < total {
		room := t.Transfer.Room(total - t.Moved)
		if room == nil {
			return
		}
		got, err := m.readAt(room, int64(lba)*SectorSize+int64(t.Moved), t.MayBlock)
		if got > 0 {
			t.Transfer.Sent(got)
			t.Moved += got
		}
		if errors.Is(err, backing.ErrWouldBlock) {
			t.WouldBlock = true
			return
		}
		if err != nil {
			t.Fail(scsi.Sense{Key: scsi.MediumError, Code: scsi.UnrecoveredReadError,
				Info: uint64(lba) + uint64(t.Moved/SectorSize), HasInfo: true})
			return
		}
	}
}

// readAt reads from the disc; an ISO file whose last sector is not whole is
// filled up with zeroes.
func (m *disc) readAt(p []byte, off int64, mayBlock bool) (int, error) {
	want := len(p)
	if over := off + int64(want) - m.store.Size(); over > 0 {
		want -= int(min(over, int64(want)))
	}
	var n int
	var err error
	prompt, ok := m.store.(backing.Prompt)
	switch {
	case want == 0:
	case mayBlock:
		n, err = m.store.ReadAt(p[:want], off)
	case ok:
		n, err = prompt.TryReadAt(p[:want], off)
	default:
		return 0, backing.ErrWouldBlock
	}
	if err == nil && n < want {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, err
	}
	clear(p[want:])
	return len(p), nil
}
