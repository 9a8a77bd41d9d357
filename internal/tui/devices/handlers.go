package devices

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// purpose says what a handler is for.
func purpose(h config.Handler) string {
	for _, k := range kinds() {
		if k.handler == h {
			return k.purpose
		}
	}
	return ""
}

type kind struct {
	handler config.Handler
	purpose string
}

func kinds() []kind {
	return []kind{
		{config.FileIO, "a disk in an image file, with the page cache"},
		{config.BlockIO, "a block device (volume, array, disk) as it is"},
		{config.CDROM, "a CD-ROM drive with an ISO file"},
		{config.NullIO, "for tests: takes writes, keeps nothing"},
		{config.Memory, "for tests: a disk in memory, lost at restart"},
		{config.PassDisk, "a SCSI disk of this machine, commands passed on"},
		{config.PassTape, "a tape drive of this machine, passed on"},
		{config.PassChanger, "a tape library's robot, passed on"},
		{config.PassCDROM, "a CD-ROM drive of this machine, passed on"},
		{config.PassMODisk, "a magneto-optical drive, passed on"},
		{config.PassProcessor, "a SCSI processor, passed on"},
		{config.PassRAID, "a RAID controller's own device, passed on"},
	}
}

// handlers are the handlers to choose from. Our own engine passes nothing on.
func handlers(doc *config.Document) []frame.Option {
	var o []frame.Option
	for _, k := range kinds() {
		x := frame.Option{Value: string(k.handler), Cells: []string{string(k.handler), k.purpose}}
		switch engine := doc.EngineName(); {
		case k.handler.PassThrough() && engine == "native":
			x.Why = "ESOS's own engine (native) passes no SCSI devices on; engines lio and scst do (engine: in the document)"
		case k.handler == config.CDROM && engine == "lio", k.handler == config.Memory && engine == "scst":
			x.Why = "engine " + engine + " has none; engine native does"
		}
		o = append(o, x)
	}
	return o
}
