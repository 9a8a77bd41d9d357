package alert

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// MediumLost is the alert of a medium that is gone.
const MediumLost = "medium.lost"

// Medium is the rule about the medium that the system was booted from. The
// system runs on without it, but can save nothing.
type Medium struct {
	// Label is the name (in the partition table) of the partition that
	// settings are saved to.
	Label string
	// UUID is that partition's, if it is known: another array's medium in its
	// place is not this one's.
	UUID string
	// Device is where it was at boot, for people.
	Device string
	// Sys is where sysfs is mounted: /sys.
	Sys string
}

// NewMedium makes the rule about the medium with a partition, /dev/sda4, and
// learns from sysfs what to know it by should it come back under another name.
func NewMedium(label, partition, sys string) (Medium, error) {
	m := Medium{Label: label, Device: partition, Sys: sys}
	text, err := os.ReadFile(filepath.Join(sys, "class/block", filepath.Base(partition), "uevent"))
	switch {
	case errors.Is(err, fs.ErrNotExist): // gone already: its name has to do
	case err != nil:
		return m, err
	default:
		m.UUID = properties(text)["PARTUUID"]
	}
	return m, nil
}

// Check implements Rule.
func (m Medium) Check(_ context.Context, b *Board) error {
	device, err := m.find()
	if err != nil {
		return fmt.Errorf("look for the boot medium: %w", err)
	}
	if device != "" {
		b.Clear(MediumLost, "medium.back", fmt.Sprintf("the boot medium is back (%s): settings can be saved again", device))
		return nil
	}
	b.Raise(Alert{
		ID: MediumLost, Severity: Critical, Object: "medium",
		Message: fmt.Sprintf("the boot medium (%s) is gone. The system goes on from memory and serves as before, but settings that are "+
			"changed from now on are not saved, and without a medium it will not boot again. Put the medium back: "+
			"what was changed meanwhile is saved then", m.Device),
	})
	return nil
}

// find returns the disk that holds the partition, as the kernel names both in
// sysfs; "" if there is none. No byte of it is read: a disk that hangs must
// not hang who looks after it.
func (m Medium) find() (device string, err error) {
	dir := filepath.Join(m.Sys, "class/block")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name(), "uevent"))
		if errors.Is(err, fs.ErrNotExist) || err != nil && gone(dir, e.Name()) {
			continue // it went while we looked
		}
		if err != nil {
			return "", err
		}
		p := properties(text)
		if p["PARTNAME"] != m.Label || m.UUID != "" && p["PARTUUID"] != "" && !strings.EqualFold(p["PARTUUID"], m.UUID) {
			continue
		}
		return "/dev/" + diskOf(dir, e.Name()), nil
	}
	return "", nil
}

// gone says whether a device has been taken away: reading its files fails in
// several ways meanwhile.
func gone(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return errors.Is(err, fs.ErrNotExist)
}

// diskOf is the disk that a partition is on: the directory above its own.
func diskOf(dir, partition string) string {
	real, err := filepath.EvalSymlinks(filepath.Join(dir, partition))
	if err != nil {
		return partition
	}
	return path.Base(path.Dir(real))
}

// properties reads the KEY=value lines of a uevent file.
func properties(text []byte) map[string]string {
	p := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			p[k] = v
		}
	}
	return p
}
