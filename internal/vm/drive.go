package vm

import (
	"fmt"
	"strconv"
	"strings"
)

// Drive is a disk of the guest.
type Drive struct {
	File     string // a path or a URL that QEMU's block layer knows, such as iscsi://HOST:PORT/IQN/LUN
	Format   string // raw when empty
	Bus      Bus    // Virtio when empty
	Serial   string // what the guest sees as the drive's serial number
	ReadOnly bool
	// Snapshot keeps the guest's writes in a temporary file, and File as it was.
	Snapshot bool
	// WriteLog is a file that gets a log of all that the guest writes to the
	// drive, and of its flushes; none when empty.
	WriteLog string
	// CDROM makes it a CD-ROM drive behind a virtio SCSI controller that hands
	// the guest's SCSI commands through to File, which must be an iSCSI URL.
	// For an ISO file see the bus CD.
	CDROM bool
	// Initiator is the iSCSI initiator name for a File that is an iscsi:// URL.
	Initiator string
}

// Bus is how a drive is attached.
type Bus string

// Buses.
const (
	Virtio Bus = "virtio"
	USB    Bus = "usb" // a stick on an xHCI controller
	NVMe   Bus = "nvme"
	SATA   Bus = "sata"
	CD     Bus = "cd" // a CD-ROM drive on SATA, with an ISO file in it
)

// Buses are those that a medium can be on.
func Buses() []Bus { return []Bus{USB, NVMe, SATA, Virtio} }

// ParseBus returns the bus that a user named.
func ParseBus(s string) (Bus, error) {
	for _, b := range Buses() {
		if s == string(b) {
			return b, nil
		}
	}
	return "", fmt.Errorf("bus %q: want usb, nvme, sata or virtio", s)
}

// driveID names drive i towards QEMU.
func driveID(i int) string { return "disk" + strconv.Itoa(i) }

// driveArgs describes the drives, and the controllers they need. The firmware
// tries them in their order.
func driveArgs(drives []Drive) ([]string, error) {
	var args []string
	var ports int // of the SATA controller
	controllers := map[Bus]bool{}
	controller := func(b Bus, device string) {
		if !controllers[b] {
			controllers[b] = true
			args = append(args, "-device", device)
		}
	}
	for i, d := range drives {
		if d.Initiator != "" {
			args = append(args, "-iscsi", "initiator-name="+d.Initiator)
		}
		id := driveID(i)
		args = append(args, "-drive", d.backend(id))
		device := fmt.Sprintf("drive=b%s,id=%s,bootindex=%d", id, id, i+1)
		if d.Serial != "" {
			device += ",serial=" + escape(d.Serial)
		}
		switch {
		case d.CDROM:
			args = append(args, "-device", "virtio-scsi-pci,id=scsi"+id)
			device = fmt.Sprintf("scsi-block,bus=scsi%s.0,%s", id, device)
		case d.Bus == Virtio || d.Bus == "":
			device = "virtio-blk-pci," + device
		case d.Bus == USB:
			controller(USB, "qemu-xhci,id=xhci")
			device = "usb-storage,bus=xhci.0,removable=on," + device
		case d.Bus == NVMe:
			if d.Serial == "" { // NVMe drives must have one
				device += ",serial=nvme" + strconv.Itoa(i)
			}
			device = "nvme," + device
		case d.Bus == SATA, d.Bus == CD:
			controller(SATA, "ich9-ahci,id=ahci")
			kind := "ide-hd"
			if d.Bus == CD {
				kind = "ide-cd"
			}
			device = fmt.Sprintf("%s,bus=ahci.%d,%s", kind, ports, device)
			ports++
		default:
			return nil, fmt.Errorf("drive %s: unknown bus %q", d.File, d.Bus)
		}
		args = append(args, "-device", device)
	}
	return args, nil
}

func (d Drive) backend(id string) string {
	format := d.Format
	if format == "" {
		format = "raw"
	}
	if d.WriteLog != "" {
		return d.logged(id, format)
	}
	spec := fmt.Sprintf("id=b%s,if=none,format=%s,file=%s", id, format, escape(d.File))
	if d.ReadOnly || d.Bus == CD {
		spec += ",readonly=on"
	}
	if d.Snapshot {
		spec += ",snapshot=on"
	}
	return spec
}

// escape writes a value of QEMU's option lists, where a comma ends it.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
