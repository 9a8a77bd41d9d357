package config

import (
	"strconv"
	"strings"
)

// Handler names what serves a device, in SCST's words. vdisk_memory is ours.
type Handler string

// Handlers of devices that ESOS makes itself.
const (
	FileIO  Handler = "vdisk_fileio"
	BlockIO Handler = "vdisk_blockio"
	NullIO  Handler = "vdisk_nullio"
	Memory  Handler = "vdisk_memory"
	CDROM   Handler = "vcdrom"
)

// Handlers that pass commands on to a SCSI device of this machine, by its
// peripheral device type (SPC-5 6.6.2).
const (
	PassDisk      Handler = "dev_disk"
	PassTape      Handler = "dev_tape"
	PassChanger   Handler = "dev_changer"
	PassCDROM     Handler = "dev_cdrom"
	PassMODisk    Handler = "dev_modisk"
	PassProcessor Handler = "dev_processor"
	PassRAID      Handler = "dev_raid"
)

// PassThrough says whether commands go to a SCSI device as they are. Such a
// device is itself: its size, its blocks and what initiators know it by are
// not the document's.
func (h Handler) PassThrough() bool { return strings.HasPrefix(string(h), "dev_") }

// HCIL is the address of a SCSI device in this machine: host, channel, target
// id and LUN.
type HCIL struct {
	Host, Channel, ID int
	LUN               uint64
}

// String is HOST:CHANNEL:ID:LUN, as Linux and SCST write it.
func (a HCIL) String() string {
	return strconv.Itoa(a.Host) + ":" + strconv.Itoa(a.Channel) + ":" + strconv.Itoa(a.ID) + ":" + strconv.FormatUint(a.LUN, 10)
}

// ParseHCIL reads HOST:CHANNEL:ID:LUN in its one spelling.
func ParseHCIL(text string) (HCIL, bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 4 {
		return HCIL{}, false
	}
	var n [3]int
	for i := range n {
		v, err := strconv.ParseUint(parts[i], 10, 31)
		if err != nil {
			return HCIL{}, false
		}
		n[i] = int(v)
	}
	lun, err := strconv.ParseUint(parts[3], 10, 64)
	a := HCIL{Host: n[0], Channel: n[1], ID: n[2], LUN: lun}
	return a, err == nil && a.String() == text
}
