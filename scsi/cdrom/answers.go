package cdrom

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// leadOut is the track number of the lead-out (MMC-6 6.25.2.2).
const leadOut = 0xaa

// Profiles (MMC-6 5.3.1).
const (
	profileNone uint16 = 0x0000
	profileCD   uint16 = 0x0008
	profileDVD  uint16 = 0x0010
)

// maxCDSectors is an 80 minute CD; what is larger is a DVD.
const maxCDSectors = 80 * 60 * 75

func (m *disc) profile() uint16 {
	switch {
	case m == nil:
		return profileNone
	case m.sectors <= maxCDSectors:
		return profileCD
	}
	return profileDVD
}

// address writes a sector's address as an LBA or as minute, second, frame
// (MMC-6 table 722: 150 frames of lead-in come first).
func address(b []byte, lba uint32, msf bool) {
	if !msf {
		binary.BigEndian.PutUint32(b, lba)
		return
	}
	lba += 150
	b[0], b[1], b[2], b[3] = 0, byte(min(lba/75/60, 255)), byte(lba/75%60), byte(lba%75)
}

// readTOC is MMC-6 6.25: one data track and one session.
func (d *Drive) readTOC(t *scsi.Task) {
	m := d.loaded(t)
	if m == nil {
		return
	}
	msf, format, start := t.CDB[1]&0x02 != 0, t.CDB[2]&0x0f, t.CDB[6]
	if format == 0 {
		format = t.CDB[9] >> 6 // where the first drives had it
	}
	var b []byte
	switch format {
	case 0: // tracks
		if start > 1 && start != leadOut {
			t.Fail(scsi.InvalidField(6))
			return
		}
		b = append(b, 0, 0, 1, 1)
		if start <= 1 {
			b = append(b, 0, 0x14, 1, 0, 0, 0, 0, 0) // a data track, recorded uninterrupted
			address(b[len(b)-4:], 0, msf)
		}
		b = append(b, 0, 0x14, leadOut, 0, 0, 0, 0, 0)
		address(b[len(b)-4:], m.sectors, msf)
	case 1: // sessions
		b = append(b, 0, 0, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0)
		address(b[8:], 0, msf)
	case 2: // raw: first track, last track, lead-out, track 1
		b = append(b, 0, 0, 1, 1)
		for _, point := range []byte{0xa0, 0xa1, 0xa2, 1} {
			e := []byte{1, 0x14, 0, point, 0, 0, 0, 0, 0, 0, 0}
			switch point {
			case 0xa0, 0xa1:
				e[8] = 1
			case 0xa2:
				address(e[7:], m.sectors, true)
			default:
				address(e[7:], 0, true)
			}
			b = append(b, e...)
		}
	default:
		t.Fail(scsi.InvalidField(2))
		return
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[7:])))
}

// getConfiguration is MMC-6 6.6 with the features of a drive that reads.
func (d *Drive) getConfiguration(t *scsi.Task) {
	m := d.disc.Load()
	current := m.profile()
	first, kind := binary.BigEndian.Uint16(t.CDB[2:]), t.CDB[1]&3
	if kind == 3 {
		t.Fail(scsi.InvalidField(1))
		return
	}
	b := make([]byte, 8, 128)
	binary.BigEndian.PutUint16(b[6:], current)
	bit := func(on bool) byte {
		if on {
			return 1
		}
		return 0
	}
	add := func(code uint16, version byte, persistent, isCurrent bool, data ...byte) {
		switch {
		case code < first, kind == 1 && !isCurrent, kind == 2 && code != first:
			return
		}
		b = binary.BigEndian.AppendUint16(b, code)
		b = append(b, version<<2|bit(persistent)<<1|bit(isCurrent), byte(len(data)))
		b = append(b, data...)
	}
	cd, dvd := current == profileCD, current == profileDVD
	add(0x0000, 0, true, true, // profiles
		byte(profileDVD>>8), byte(profileDVD), bit(dvd), 0,
		byte(profileCD>>8), byte(profileCD), bit(cd), 0)
	add(0x0001, 2, true, true, 0, 0, 0, 1, 1, 0, 0, 0)                  // core: SCSI family, DBE
	add(0x0002, 1, true, true, 0x02, 0, 0, 0)                           // morphing: polled events
	add(0x0003, 0, true, true, 0x39, 0, 0, 0)                           // removable: tray, eject, load, lock
	add(0x0010, 0, false, m != nil, 0, 0, SectorSize>>8, 0, 0, 1, 0, 0) // random readable
	add(0x001d, 0, false, cd)                                           // multi-read
	add(0x001e, 2, false, cd, 0, 0, 0, 0)                               // CD read
	add(0x001f, 0, false, dvd)                                          // DVD read
	add(0x0100, 0, true, true)                                          // power management
	add(0x0105, 0, true, true)                                          // time-out
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[7:])))
}

// readDiscInformation is MMC-6 6.21: a finished disc of one session.
func (d *Drive) readDiscInformation(t *scsi.Task) {
	if d.loaded(t) == nil {
		return
	}
	if t.CDB[1]&7 != 0 {
		t.Fail(scsi.InvalidField(1))
		return
	}
	b := make([]byte, 34)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	b[2] = 0x0e // last session complete, disc finalized
	b[3], b[4], b[5], b[6] = 1, 1, 1, 1
	b[7] = 0x20 // unrestricted use
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[7:])))
}

// readTrackInformation is MMC-6 6.26.
func (d *Drive) readTrackInformation(t *scsi.Task) {
	m := d.loaded(t)
	if m == nil {
		return
	}
	n := binary.BigEndian.Uint32(t.CDB[2:])
	switch t.CDB[1] & 3 {
	case 0: // the track that holds this sector
		if n >= m.sectors {
			t.Fail(outOfRange(n))
			return
		}
	case 1, 2: // track number, session number
		if n != 1 {
			t.Fail(scsi.InvalidField(2))
			return
		}
	default:
		t.Fail(scsi.InvalidField(1))
		return
	}
	b := make([]byte, 36)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	b[2], b[3] = 1, 1
	b[5] = 0x04 // a data track
	b[6] = 0x01 // mode 1
	binary.BigEndian.PutUint32(b[24:], m.sectors)
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[7:])))
}

// readDiscStructure is MMC-6 6.22: the physical format of a DVD-ROM.
func (d *Drive) readDiscStructure(t *scsi.Task) {
	m := d.loaded(t)
	if m == nil {
		return
	}
	if m.profile() != profileDVD {
		t.Fail(scsi.Sense{Key: scsi.IllegalRequest, Code: 0x3002}) // cannot read medium: incompatible format
		return
	}
	var b []byte
	switch {
	case t.CDB[1]&0x0f != 0, t.CDB[6] != 0:
		t.Fail(scsi.InvalidField(1))
		return
	case t.CDB[7] == 0x00:
		b = make([]byte, 4+2048)
		b[4], b[5], b[6] = 0x01, 0x0f, 0x01 // DVD-ROM, 120 mm, one layer of embossed data
		const lead = 0x30000
		binary.BigEndian.PutUint32(b[8:], lead)
		binary.BigEndian.PutUint32(b[12:], (lead+m.sectors-1)&0xffffff)
	case t.CDB[7] == 0x01: // copyright: none
		b = make([]byte, 8)
	default:
		t.Fail(scsi.InvalidField(7))
		return
	}
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[8:])))
}

// readSubChannel is MMC-6 6.24: no audio is playing.
func (d *Drive) readSubChannel(t *scsi.Task) {
	if d.loaded(t) == nil {
		return
	}
	b := []byte{0, 0x15, 0, 0} // no current audio status
	if t.CDB[2]&0x40 != 0 {
		if t.CDB[3] != 1 {
			t.Fail(scsi.InvalidField(3))
			return
		}
		b = append(b, 1, 0x14, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[7:])))
}

// mechanismStatus is MMC-6 6.13: a tray, no changer.
func (d *Drive) mechanismStatus(t *scsi.Task) {
	b := make([]byte, 8)
	d.mu.Lock()
	if d.open {
		b[1] = 0x10
	}
	d.mu.Unlock()
	t.Reply(b, int(binary.BigEndian.Uint16(t.CDB[8:])))
}
