package scsi

import "encoding/binary"

const (
	standardInquiry = 96   // bytes of standard INQUIRY data, reserved ones included
	versionSPC4     = 0x06 // VERSION field (SPC-5 table 152)

	extendedCopy = 0x83 // operation code of EXTENDED COPY, for the 3PC bit
)

// Version descriptors of what this package and its transport follow
// (SPC-5 table 153). They claim no particular revision of the drafts.
const (
	versionDescriptorSAM5  = 0x00a0
	versionDescriptorISCSI = 0x0960
	versionDescriptorSPC4  = 0x0460
)

// parseInquiry checks INQUIRY (SPC-5 6.6). CMDDT is long obsolete.
func parseInquiry(t *Task) {
	switch {
	case t.CDB[1]&0x02 != 0:
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true, Field: 1, HasBit: true, Bit: 1})
	case t.CDB[1]&0x01 == 0 && t.CDB[2] != 0: // a page code without EVPD
		t.Fail(InvalidField(2))
	}
	t.InLen = int(binary.BigEndian.Uint16(t.CDB[3:]))
}

func inquiry(t *Task) {
	if t.CDB[1]&0x01 == 0 {
		t.Reply(t.Path.standardInquiry(), t.InLen)
		return
	}
	page := t.CDB[2]
	b := []byte{t.Path.Unit.device.Type(), page, 0, 0}
	b, ok := t.Path.vpd(page, b)
	if !ok {
		t.Fail(InvalidField(2))
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	t.Reply(b, t.InLen)
}

// standardInquiry is the standard INQUIRY data of a path (SPC-5 6.6.2).
func (p *Path) standardInquiry() []byte {
	u := p.Unit
	b := make([]byte, standardInquiry)
	b[0] = u.device.Type() // peripheral qualifier 000b: it is there
	if u.device.Removable() {
		b[1] = 0x80
	}
	b[2] = versionSPC4
	b[3] = 0x12 // HISUP; RESPONSE DATA FORMAT 2
	b[4] = standardInquiry - 5
	b[5] = 0x10 // TPGS: implicit asymmetric access
	if u.access != nil {
		b[5] |= 0x20 // and explicit
	}
	if u.ops[extendedCopy] != nil {
		b[5] |= 0x08 // 3PC
	}
	b[6] = 0x10 // MULTIP
	b[7] = 0x02 // CMDQUE
	putText(b[8:16], u.identity.Vendor)
	putText(b[16:32], u.identity.Product)
	putText(b[32:36], u.identity.Revision)
	versions := append([]uint16{versionDescriptorSAM5, versionDescriptorISCSI, versionDescriptorSPC4}, u.device.Versions()...)
	for i, v := range versions[:min(len(versions), 8)] {
		binary.BigEndian.PutUint16(b[58+2*i:], v)
	}
	return b
}

// putText fills b with s, left-aligned and padded with spaces; whatever is not
// printable ASCII becomes a space (SPC-5 4.3.1).
func putText(b []byte, s string) {
	for i := range b {
		b[i] = ' '
		if i < len(s) && s[i] >= 0x20 && s[i] <= 0x7e {
			b[i] = s[i]
		}
	}
}
