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
	"time"
)

// MediumLost is the alert of a medium that is gone.
const MediumLost = "medium.lost"

// Medium is the rule about the medium that the system was booted from. The
// system runs on without it, but can save nothing.
type Medium struct {
	// Label is the name (in the partition table) of the partition that
	// settings are saved to.
	Label string
	// UUID is of the file system there: another array's medium is not this one's.
	UUID string
	// Device is where the medium was at boot, for people.
	Device string
	// Sys is where sysfs is mounted, Udev what udev keeps: /sys, /run/udev/data.
	Sys, Udev string
	// Settle is how long a medium must be gone for to be taken for lost. The
	// kernel takes all partitions away and brings them back when the table of
	// one that is in no use is read again.
	Settle time.Duration
}

// Check implements Rule.
func (m Medium) Check(ctx context.Context, b *Board) error {
	device, sure, err := m.find()
	if err == nil && device == "" && m.Settle > 0 {
		select {
		case <-time.After(m.Settle):
		case <-ctx.Done():
			return nil // whoever ends us wants no verdict
		}
		device, sure, err = m.find()
	}
	if err != nil {
		return fmt.Errorf("look for the boot medium: %w", err)
	}
	switch {
	case device == "":
		b.Raise(Alert{
			ID: MediumLost, Severity: Critical, Object: "medium",
			Message: fmt.Sprintf("the boot medium (%s) is gone. The system goes on from memory and serves as before, but settings that are "+
				"changed from now on are not saved, and without a medium it will not boot again. Put the medium back: "+
				"what was changed meanwhile is saved then", m.Device),
		})
	case sure:
		b.Clear(MediumLost, "medium.back", fmt.Sprintf("the boot medium is back (%s): settings can be saved again", device))
	}
	return nil
}

// find returns the disk that holds the partition, as the kernel names it; ""
// if there is none. It is not sure of one that udev has not looked at yet. No
// byte of the disk is read: one that hangs must not hang who looks after it.
func (m Medium) find() (device string, sure bool, err error) {
	dir := filepath.Join(m.Sys, "class/block")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false, err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name(), "uevent"))
		if errors.Is(err, fs.ErrNotExist) || err != nil && gone(dir, e.Name()) {
			continue // it went while we looked
		}
		if err != nil {
			return "", false, err
		}
		p := properties(text)
		if p["PARTNAME"] != m.Label {
			continue
		}
		switch uuid := m.fileSystem(p["MAJOR"], p["MINOR"]); {
		case m.UUID == "" || strings.EqualFold(uuid, m.UUID):
			return "/dev/" + diskOf(dir, e.Name()), true, nil
		case uuid == "":
			device = "/dev/" + diskOf(dir, e.Name())
		}
	}
	return device, false, nil
}

// fileSystem is the UUID of what udev found on a block device, "" while it has
// found nothing.
func (m Medium) fileSystem(major, minor string) string {
	text, err := os.ReadFile(filepath.Join(m.Udev, "b"+major+":"+minor))
	if err != nil {
		return ""
	}
	return properties(text)["E:ID_FS_UUID"]
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

// properties reads KEY=value lines.
func properties(text []byte) map[string]string {
	p := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			p[k] = v
		}
	}
	return p
}
