package disk

import "encoding/binary"

// Vital product data pages of disks.
const (
	pageThirdParty      = 0x8f
	pageBlockLimits     = 0xb0
	pageCharacteristics = 0xb1
	pageProvisioning    = 0xb2
)

// VPDPages implements scsi.Device.
func (d *Disk) VPDPages() []byte {
	return []byte{pageThirdParty, pageBlockLimits, pageCharacteristics, pageProvisioning}
}

// VPD implements scsi.Device.
func (d *Disk) VPD(page byte, body []byte) ([]byte, bool) {
	switch page {
	case pageThirdParty:
		return d.appendThirdParty(body), true
	case pageBlockLimits:
		return d.appendBlockLimits(body), true
	case pageCharacteristics:
		return d.appendCharacteristics(body), true
	case pageProvisioning:
		return d.appendProvisioning(body), true
	}
	return body, false
}

// appendBlockLimits makes page B0h (SBC-4 6.6.4). Offsets count from the
// page's fourth byte.
func (d *Disk) appendBlockLimits(body []byte) []byte {
	var b [60]byte
	blocks := func(bytes int) uint32 { return uint32(bytes >> d.shift) }
	b[1] = maxCompare
	binary.BigEndian.PutUint16(b[2:], uint16(max(1, blocks(granule)))) // OPTIMAL TRANSFER LENGTH GRANULARITY
	binary.BigEndian.PutUint32(b[4:], blocks(maxTransfer))
	// OPTIMAL TRANSFER LENGTH stays unreported: mkfs.xfs and lvm take it for
	// the width of a RAID stripe.
	binary.BigEndian.PutUint32(b[12:], blocks(maxTransfer)) // MAXIMUM PREFETCH LENGTH
	if d.opt.Thin {
		binary.BigEndian.PutUint32(b[16:], maxUnmap)
		binary.BigEndian.PutUint32(b[20:], maxUnmapDescs)
		binary.BigEndian.PutUint32(b[24:], max(1, blocks(granule))) // OPTIMAL UNMAP GRANULARITY
		binary.BigEndian.PutUint32(b[28:], 0x80000000)              // UGAVALID, alignment 0
	}
	binary.BigEndian.PutUint64(b[32:], uint64(blocks(maxWriteSame)))
	if d.canAtomic() {
		binary.BigEndian.PutUint32(b[40:], d.maxAtomic())
	}
	return append(body, b[:]...)
}

// appendCharacteristics makes page B1h (SBC-4 6.6.2).
func (d *Disk) appendCharacteristics(body []byte) []byte {
	var b [60]byte
	rate := uint16(0x0001) // does not rotate
	if d.opt.Rotational {
		rate = 7200
	}
	binary.BigEndian.PutUint16(b[0:], rate)
	if d.opt.Thin {
		b[3] = 0x40 // WABEREQ = 01b: blocks can be read after a block erase
	}
	return append(body, b[:]...)
}

// appendProvisioning makes page B2h (SBC-4 6.6.5).
func (d *Disk) appendProvisioning(body []byte) []byte {
	if !d.opt.Thin {
		return append(body, 0, 0, 0, 0)
	}
	// LBPU, LBPWS, LBPWS10; LBPRZ = 001b: unmapped blocks read as zeroes; no
	// anchors, since an extent without data cannot be told from a hole.
	return append(body, 0, 0x80|0x40|0x20|0x04, 2, 0)
}
