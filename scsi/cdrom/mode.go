package cdrom

import "github.com/esos-project/esos/scsi"

// ModePages implements scsi.Moder: error recovery, CD parameters,
// time-outs, and the capabilities page that drivers still look at although
// MMC-6 has made it legacy (MMC-3 6.3.11).
func (d *Drive) ModePages() []scsi.ModePage {
	page := func(code byte, body ...byte) scsi.ModePage {
		return scsi.ModePage{Code: code, Default: body, Mask: make([]byte, len(body))}
	}
	return []scsi.ModePage{
		page(0x01, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 0), // 5 read retries
		page(0x0d, 0, 0, 0, 60, 0, 75),                 // 60 seconds a minute, 75 frames a second
		page(0x1d, 0, 0, 0, 0, 0, 7, 0, 100),           // time-outs and protect
		page(0x2a,
			0x3f, 0x00, // reads CD-R, CD-RW, method 2, DVD-ROM, DVD-R, DVD-RAM; writes nothing
			0x70, 0x00, // mode 2 form 1 and 2, multi-session; no audio
			0x29,       // tray, ejects, can be locked
			0x00,       // no volume, no changer
			0x02, 0xc2, // 706 kB/s, the slowest that drivers divide by
			0, 0, 0x02, 0x00, 0x02, 0xc2, 0, 0,
			0, 0, 0, 0),
	}
}

// ModeParameter implements scsi.Moder.
func (d *Drive) ModeParameter() byte { return 0 }

// BlockDescriptor implements scsi.Moder: the type has none (MMC-6 7.2.2).
func (d *Drive) BlockDescriptor(b []byte, _ bool) []byte { return b }

// Condition implements scsi.Conditioner.
func (d *Drive) Condition() (scsi.Sense, bool) {
	if d.Loaded() {
		return scsi.Sense{}, false
	}
	return d.notReady(), true
}
