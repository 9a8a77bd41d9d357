// Package medium is what ESOS boots from: a GPT with GRUB, two slots, the
// saved settings and the logs. It is laid out and built here, on a file or on
// a disk, without loop devices and, for files, without privileges; found again
// in the running system; and grown to the end of its drive.
package medium

import (
	"fmt"

	"github.com/diskfs/go-diskfs/partition/gpt"
)

// Labels of the partitions, in the GPT and in their file systems.
const (
	LabelGRUB = "esos_grub" // GRUB for BIOS; no file system
	LabelBoot = "ESOS_BOOT" // FAT: GRUB for UEFI, its menu, kernels
	LabelRoot = "esos_root" // ext4: the slots
	LabelConf = "esos_conf" // ext4: generations of saved settings
	LabelLogs = "esos_logs" // ext4: grown to the end of the drive
	LabelData = "esos_data" // ext4: the rest of a large drive; made when it grows

	LabelISO = "ESOS-ISO" // of an ISO, which is no medium but makes some
)

// SectorSize is that of every medium. GRUB's first sector and the image both
// count in it.
const SectorSize = 512

const (
	mib   = 1 << 20
	gib   = 1 << 30
	align = mib

	// gptEnd is what the backup of the GPT takes at the end: 128 entries of
	// 128 bytes, and the header.
	gptEnd = 33 * SectorSize
)

// Sizes of the partitions in bytes, multiples of 1 MiB.
type Sizes struct {
	Boot int64 `json:"boot"`
	Root int64 `json:"root"`
	Conf int64 `json:"conf"`
	Logs int64 `json:"logs"` // in the image; it grows
}

// DefaultSizes leave room for two slots, an upgrade in the making and some
// hundred generations, and fit a stick of 4 GB.
func DefaultSizes() Sizes {
	return Sizes{Boot: 512 * mib, Root: 1536 * mib, Conf: 384 * mib, Logs: 256 * mib}
}

// Check says what is wrong with s.
func (s Sizes) Check() error {
	for _, p := range []struct {
		name string
		size int64
		min  int64
	}{
		{"boot", s.Boot, 64 * mib}, // FAT32 with clusters that firmware expects
		{"root", s.Root, 64 * mib},
		{"conf", s.Conf, 16 * mib},
		{"logs", s.Logs, 64 * mib},
	} {
		if p.size < p.min || p.size%align != 0 || p.size > 1<<50 {
			return fmt.Errorf("size of the %s partition is %d bytes: want a multiple of 1 MiB, %d MiB at least", p.name, p.size, p.min/mib)
		}
	}
	return nil
}

// Partition is one of a medium's.
type Partition struct {
	Number int // from 1
	Label  string
	Start  int64 // in bytes
	Size   int64 // in bytes
	Type   gpt.Type
}

// End is the first byte behind p.
func (p Partition) End() int64 { return p.Start + p.Size }

// Layout places the partitions of a fresh medium one after the other.
func (s Sizes) Layout() []Partition {
	parts := []Partition{
		{Label: LabelGRUB, Size: mib, Type: gpt.BIOSBoot},
		{Label: LabelBoot, Size: s.Boot, Type: gpt.EFISystemPartition},
		{Label: LabelRoot, Size: s.Root, Type: gpt.LinuxFilesystem},
		{Label: LabelConf, Size: s.Conf, Type: gpt.LinuxFilesystem},
		{Label: LabelLogs, Size: s.Logs, Type: gpt.LinuxFilesystem},
	}
	at := int64(align)
	for i := range parts {
		parts[i].Number, parts[i].Start = i+1, at
		at = parts[i].End()
	}
	return parts
}

// Total is how many bytes a fresh medium takes: a drive must have as many.
func (s Sizes) Total() int64 {
	parts := s.Layout()
	return parts[len(parts)-1].End() + align // the backup of the GPT is in the last one
}

// Labelled returns the partition with a label.
func Labelled(parts []Partition, label string) (Partition, bool) {
	for _, p := range parts {
		if p.Label == label {
			return p, true
		}
	}
	return Partition{}, false
}
