package medium

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/ext4"
)

// Running is the medium that this system was started from.
type Running struct {
	Disk     string `json:"disk"` // /dev/sda, or /dev/md127 for a mirror
	Model    string `json:"model,omitempty"`
	Serial   string `json:"serial,omitempty"`
	Size     int64  `json:"size"`
	UUID     string `json:"uuid"` // of esos_root
	Mirrored bool   `json:"mirrored,omitempty"`
	// Partitions by label. They may have other names than at boot: a stick
	// that was pulled and plugged in again gets the next free one.
	Partitions map[string]Place `json:"partitions"`
}

// Partitioned tells whether the medium is one drive, or one array, with a
// partition table. One whose partitions are arrays each has none, and grows
// only by mdadm.
func (r Running) Partitioned() bool { return r.Partitions[LabelRoot].Device != r.Disk }

// Place is where a partition of the running medium is.
type Place struct {
	Device string `json:"device"` // /dev/sda3
	Size   int64  `json:"size"`   // in bytes
	// Mounted is where, if it is.
	Mounted string `json:"mounted,omitempty"`
}

// ErrAbsent says that the medium is not there: pulled, or broken.
var ErrAbsent = errors.New("the boot medium is not there")

// ErrNoMedium says that this system was not started from a medium: it runs
// from an ISO, or is no appliance.
var ErrNoMedium = errors.New("this system was not started from a medium of ESOS")

// Finder finds the running medium.
type Finder struct {
	Machine disk.Machine
	Report  string // boot.ReportFile
}

// NewFinder looks at this machine.
func NewFinder() Finder { return Finder{disk.This(), boot.ReportFile} }

// Find returns the medium that this system was started from, wherever it is
// now. Its identity is the UUID that esos-init reports, so that another stick
// in the same place is not taken for it.
func (f Finder) Find(ctx context.Context) (Running, error) {
	report, err := boot.ReadReport(f.Report)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Running{}, ErrNoMedium
	case err != nil:
		return Running{}, err
	case report.Mode == boot.ModeLive || report.Mode == boot.ModeInstall:
		return Running{}, fmt.Errorf("%w: it runs from an ISO", ErrNoMedium)
	}
	r := Running{UUID: report.Medium.UUID, Mirrored: report.Medium.Mirrored, Disk: report.Medium.Device, Partitions: map[string]Place{}}
	root := report.Medium.Partitions[LabelRoot].Device
	if root != "" && f.uuidOf(filepath.Base(root)) == r.UUID {
		for label, p := range report.Medium.Partitions {
			r.Partitions[label] = f.place(filepath.Base(p.Device))
		}
	} else if err := f.search(ctx, &r); err != nil {
		return r, err
	}
	if d, err := f.Machine.Look(r.Disk); err == nil {
		r.Model, r.Serial, r.Size = d.Model, d.Serial, d.Size
	}
	// What was made since the boot, and what the report leaves out.
	parent := filepath.Base(r.Disk)
	for _, name := range f.partitionsOf(parent) {
		if label := f.partName(name); label == LabelData || label == LabelLogs {
			r.Partitions[label] = f.place(name)
		}
	}
	return r, nil
}

// search looks at all partitions for the esos_root with the medium's UUID.
func (f Finder) search(ctx context.Context, r *Running) error {
	entries, err := os.ReadDir(filepath.Join(f.Machine.Sys, "class/block"))
	if err != nil {
		return fmt.Errorf("find the medium: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.partName(e.Name()) != LabelRoot || f.uuidOf(e.Name()) != r.UUID {
			continue
		}
		parent := f.Machine.ParentOf(e.Name())
		r.Disk = filepath.Join(f.Machine.Dev, parent)
		for _, name := range f.partitionsOf(parent) {
			if label := f.partName(name); label != "" && label != LabelGRUB {
				r.Partitions[label] = f.place(name)
			}
		}
		return nil
	}
	return fmt.Errorf("%w: no partition %s has the UUID %s; settings cannot be saved until it is plugged in again", ErrAbsent, LabelRoot, r.UUID)
}

// Present tells whether the medium is there and answers: nil, ErrAbsent or
// ErrNoMedium, wrapped.
func (f Finder) Present(ctx context.Context) error {
	r, err := f.Find(ctx)
	if err != nil {
		return err
	}
	for _, label := range []string{LabelRoot, LabelConf} {
		if p, ok := r.Partitions[label]; !ok || p.Size == 0 {
			return fmt.Errorf("%w: %s of %s cannot be found", ErrAbsent, label, r.Disk)
		}
	}
	return nil
}

// uuidOf reads the UUID of the ext4 file system on a device, "" if there is
// none.
func (f Finder) uuidOf(name string) string {
	d, err := os.Open(filepath.Join(f.Machine.Dev, name))
	if err != nil {
		return ""
	}
	defer d.Close()
	size := f.sizeOf(name)
	// From the drive: a stick that was pulled lives on in the cache, as long
	// as somebody has it open.
	if err := DropCache(d); err != nil {
		return ""
	}
	e, err := ext4.Open(d, 0, size)
	if err != nil {
		return ""
	}
	return uuid.UUID(e.UUID()).String()
}

func (f Finder) place(name string) Place {
	return Place{Device: filepath.Join(f.Machine.Dev, name), Size: f.sizeOf(name), Mounted: f.Machine.MountPoint(name)}
}

func (f Finder) sizeOf(name string) int64 {
	n, err := strconv.ParseInt(f.attribute(name, "size"), 10, 64)
	if err != nil {
		return 0
	}
	return n * 512 // sysfs counts so, whatever the drive's sectors are
}

func (f Finder) attribute(name, file string) string {
	b, err := os.ReadFile(filepath.Join(f.Machine.Sys, "class/block", name, file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// partName is a partition's name in the GPT.
func (f Finder) partName(name string) string {
	for l := range strings.Lines(f.attribute(name, "uevent")) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "PARTNAME="); ok {
			return v
		}
	}
	return ""
}

// partitionsOf lists the partitions of a disk.
func (f Finder) partitionsOf(parent string) []string {
	dir := filepath.Join(f.Machine.Sys, "class/block", parent)
	found, err := filepath.Glob(filepath.Join(dir, parent+"*", "partition"))
	if err != nil {
		return nil
	}
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	return names
}
