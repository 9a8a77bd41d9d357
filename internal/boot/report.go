package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// ReportFile is where the running system finds the report of its boot.
const ReportFile = "/run/esos/boot.json"

// Where things are in the running system.
const (
	ImageDir  = "/run/esos/image"    // a tmpfs with root.squashfs; not there in ModePersist
	LowerDir  = "/run/esos/lower"    // the squashfs
	RWDir     = "/run/esos/rw"       // a tmpfs
	UpperDir  = "/run/esos/rw/upper" // the overlay's upper directory: all that differs from the image
	WorkDir   = "/run/esos/rw/work"
	MediumDir = "/run/esos/medium" // ModePersist: root, conf, logs, boot; ISO: iso
)

// Mode is how the system runs.
type Mode string

// Modes.
const (
	ModeMemory  Mode = "memory"  // from memory: the medium may be pulled
	ModePersist Mode = "persist" // from the medium, which stays mounted
	ModeLive    Mode = "live"    // from memory, booted from an ISO, nothing restored
	ModeInstall Mode = "install" // the same, to install
)

// Report says how the system was booted.
type Report struct {
	Mode    Mode    `json:"mode"`
	Options Options `json:"options"` // of the kernel's command line

	Slot         slot.Name        `json:"slot"`              // what runs; Options.Slot was asked for
	Version      string           `json:"version"`           // of the image
	Built        int64            `json:"built"`             // Unix time
	Kernel       string           `json:"kernel"`            // release that runs
	ImageKernel  string           `json:"image_kernel"`      // release that the image has the modules of
	RootSHA256   string           `json:"root_sha256"`       // of root.squashfs
	RootSize     int64            `json:"root_size"`         // of root.squashfs
	DamagedSlots []Damage         `json:"damaged,omitempty"` // slots that were tried before
	Medium       Medium           `json:"medium"`
	Restored     persist.Restored `json:"restored"`
	// SettingsProblem says why there was nothing to restore from, or that it
	// failed.
	SettingsProblem string   `json:"settings_problem,omitempty"`
	NewMachineID    bool     `json:"new_machine_id,omitempty"`
	Modules         []string `json:"modules"` // loaded by the initramfs, in order

	Warnings []string `json:"warnings,omitempty"`
	Stages   []Stage  `json:"stages"`
	// HandedOver is when systemd was started, in seconds since the kernel's start.
	HandedOver float64 `json:"handed_over"`
}

// Damage is a slot that could not be booted, and why.
type Damage struct {
	Slot   slot.Name `json:"slot"`
	Reason string    `json:"reason"`
}

// Stage is a part of the boot and when it ran, in seconds since the kernel's
// start.
type Stage struct {
	Name  string  `json:"name"`
	Began float64 `json:"began"`
	Took  float64 `json:"took"`
}

// Medium is what the system was booted from.
type Medium struct {
	Device    string   `json:"device"` // of the disk or, for a mirror, of the array that esos_root is on: /dev/sda, /dev/md127
	Disks     []string `json:"disks"`  // that it is on at last: sda; sda, sdb for a mirror
	Mirrored  bool     `json:"mirrored,omitempty"`
	Model     string   `json:"model,omitempty"`
	Transport string   `json:"transport,omitempty"` // usb, nvme, sata, virtio, mmc, scsi, md
	UUID      string   `json:"uuid"`                // of esos_root, or of the ISO
	// Partitions by their label: ESOS_BOOT, esos_root, esos_conf, esos_logs,
	// esos_data, or ESOS-ISO.
	Partitions map[string]Partition `json:"partitions"`
}

// Partition is one of the medium's file systems.
type Partition struct {
	Device string `json:"device"` // /dev/sda3
	UUID   string `json:"uuid"`
	Size   int64  `json:"size"` // in bytes
	// Mounted is where it is in the running system; "" if it is not.
	Mounted string `json:"mounted,omitempty"`
	// Problem is what e2fsck could not put right.
	Problem string `json:"problem,omitempty"`
	// check says why e2fsck has to look at it.
	check string
}

// ReadReport reads the report of this system's boot. A system that esos-init
// did not start has none (fs.ErrNotExist).
func ReadReport(path string) (Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Report{}, fmt.Errorf("read the report of the boot: %w", err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return Report{}, fmt.Errorf("read the report of the boot: %s: %w", path, err)
	}
	return r, nil
}

// seconds rounds to the millisecond, for people who read the report.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
