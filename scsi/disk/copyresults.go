package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

// copies are the third party copies whose results can be asked for. Disk.mu
// guards them.
type copies struct {
	held map[copyKey]*copyState
}

// copyKey names a copy: list identifiers belong to an I_T nexus (SPC-4 5.17.4.2).
type copyKey struct {
	path *scsi.Path
	id   byte
}

type copyState struct {
	status   byte
	segments int // carried out
	bytes    int64
	sense    scsi.Sense
}

// COPY MANAGER STATUS (SPC-4 table 201).
const (
	copyRuns   byte = 0
	copyDone   byte = 1
	copyFailed byte = 2
)

// begin notes that a copy starts; false if its list identifier is in use.
func (c *copies) begin(d *Disk, p *scsi.Path, l *copyList) (*copyState, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := copyKey{p, l.id}
	if old := c.held[key]; old != nil && old.status == copyRuns && l.keep {
		return nil, false
	}
	s := &copyState{}
	if l.keep {
		c.held[key] = s
	}
	return s, true
}

func (c *copies) end(d *Disk, t *scsi.Task, l *copyList, s *copyState, status byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.status, s.sense = status, t.Sense
}

// forget drops what nexus p may ask for; nil: all of it.
func (c *copies) forget(p *scsi.Path) {
	for key := range c.held {
		if p == nil || key.path == p {
			delete(c.held, key)
		}
	}
}

func (d *Disk) parseCopyResults(t *scsi.Task) {
	t.InLen = int(min(binary.BigEndian.Uint32(t.CDB[10:]), 4096))
}

// copyStatus serves RECEIVE COPY STATUS (LID1) (SPC-4 6.26).
func (d *Disk) copyStatus(t *scsi.Task) {
	d.mu.Lock()
	s := d.copies.held[copyKey{t.Path, t.CDB[2]}]
	var now copyState
	if s != nil {
		now = *s
	}
	d.mu.Unlock()
	if s == nil {
		t.Fail(scsi.InvalidField(2))
		return
	}
	var b [12]byte
	b[3] = 8
	b[4] = now.status
	binary.BigEndian.PutUint16(b[5:], uint16(now.segments))
	if now.bytes > 0xffffffff {
		b[7] = 1 // TRANSFER COUNT UNITS: kibibytes
		now.bytes >>= 10
	}
	binary.BigEndian.PutUint32(b[8:], uint32(now.bytes))
	t.Reply(b[:], t.InLen)
}

// copyParameters serves RECEIVE COPY OPERATING PARAMETERS (SPC-4 6.24).
func (d *Disk) copyParameters(t *scsi.Task) {
	var b [44]byte
	codes := []byte{segBlocks, segBytes, targetID}
	binary.BigEndian.PutUint32(b[0:], uint32(len(b)+len(codes)-4))
	b[4] = 0x01 // SNLID: list identifier zero without status
	binary.BigEndian.PutUint16(b[8:], maxCopyTargets)
	binary.BigEndian.PutUint16(b[10:], maxCopySegments)
	binary.BigEndian.PutUint32(b[12:], maxCopyDescriptors)
	binary.BigEndian.PutUint32(b[16:], maxCopySegment)
	binary.BigEndian.PutUint16(b[34:], maxConcurrent)
	b[36] = maxConcurrent
	b[37] = byte(d.shift) // DATA SEGMENT GRANULARITY
	b[43] = byte(len(codes))
	t.Reply(append(b[:], codes...), t.InLen)
}

// copyFailure serves RECEIVE COPY FAILURE DETAILS (LID1) (SPC-4 6.25): the
// sense data of a copy that failed, once.
func (d *Disk) copyFailure(t *scsi.Task) {
	d.mu.Lock()
	key := copyKey{t.Path, t.CDB[2]}
	s := d.copies.held[key]
	if s == nil || s.status != copyFailed {
		d.mu.Unlock()
		t.Fail(scsi.InvalidField(2))
		return
	}
	sense := s.sense
	delete(d.copies.held, key)
	d.mu.Unlock()
	var b [60]byte
	b[56] = byte(scsi.CheckCondition)
	p := sense.Encode(b[:], false)
	binary.BigEndian.PutUint16(p[58:], uint16(len(p)-60))
	binary.BigEndian.PutUint32(p[0:], uint32(len(p)-4))
	t.Reply(p, t.InLen)
}

// appendThirdParty makes VPD page 8Fh (SPC-4 7.8.17).
func (d *Disk) appendThirdParty(body []byte) []byte {
	add := func(kind uint16, p ...byte) {
		p = append(p, make([]byte, -len(p)&3)...)
		body = binary.BigEndian.AppendUint16(body, kind)
		body = binary.BigEndian.AppendUint16(body, uint16(len(p)))
		body = append(body, p...)
	}
	u16, u32 := binary.BigEndian.AppendUint16, binary.BigEndian.AppendUint32

	// Supported Commands.
	commands := []byte{0x83, 1, copyLID1, 0x84, 3, resultsStatus, resultsParameters, resultsFailure}
	add(0x0001, append([]byte{byte(len(commands))}, commands...)...)
	// Parameter Data. Reserved fields are left to the zeroes of full.
	full := func(n int, p []byte) []byte {
		b := make([]byte, n)
		copy(b, p)
		return b
	}
	p := u16([]byte{0, 0, 0, 0}, maxCopyTargets)
	p = u16(p, maxCopySegments)
	p = u32(p, maxCopyDescriptors)
	add(0x0004, full(28, p)...)
	// Supported Descriptors, Supported CSCD Descriptor IDs (none beyond those
	// of the list).
	add(0x0008, 3, segBlocks, segBytes, targetID)
	add(0x000c, 0, 0)
	// General Copy Operations.
	p = u32(nil, maxConcurrent)
	p = u32(p, maxConcurrent)
	p = u32(p, maxCopySegment)
	p = append(p, byte(d.shift))
	add(0x8001, full(32, p)...)
	return body
}
