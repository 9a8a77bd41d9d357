package disk

import (
	"encoding/binary"

	"github.com/esos-project/esos/scsi"
)

const wce = 0x04 // write cache enable, in the first byte of the Caching page's body

// ModePages implements scsi.Moder: Read-Write Error Recovery and Caching
// (SBC-4 6.5.10, 6.5.6).
func (d *Disk) ModePages() []scsi.ModePage {
	recovery := make([]byte, 10)
	recovery[0] = 0x80 | 0x40 // AWRE, ARRE: what lies below reassigns on its own
	caching := make([]byte, 18)
	mask := make([]byte, 18)
	if !d.opt.WriteThrough {
		caching[0], mask[0] = wce, wce
	}
	return []scsi.ModePage{
		{Code: 0x01, Default: recovery, Mask: make([]byte, 10)},
		{Code: 0x08, Default: caching, Mask: mask, Changed: d.cachingChanged},
	}
}

// cachingChanged follows the WCE bit. When the cache is turned off, what is in
// it becomes stable first.
func (d *Disk) cachingChanged(body []byte) error {
	through := body[0]&wce == 0
	if d.through.Swap(through) == through || !through {
		return nil
	}
	return d.store.Sync()
}

// ModeParameter implements scsi.Moder: DPO and FUA are served (SBC-4 6.5.1).
func (d *Disk) ModeParameter() byte {
	if d.opt.ReadOnly {
		return 0x80 | 0x10
	}
	return 0x10
}

// BlockDescriptor implements scsi.Moder.
func (d *Disk) BlockDescriptor(b []byte, long bool) []byte {
	if long {
		b = binary.BigEndian.AppendUint64(b, d.Blocks())
		return binary.BigEndian.AppendUint64(b, uint64(d.opt.BlockSize))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(min(d.Blocks(), 0xffffffff)))
	return binary.BigEndian.AppendUint32(b, uint32(d.opt.BlockSize))
}
