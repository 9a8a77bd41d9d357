package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SCSI finds the SCSI devices of this machine, in sysfs.
type SCSI struct {
	Sys string // /sys if empty
}

// SCSIDevice is a SCSI device of this machine.
type SCSIDevice struct {
	Address       string // HOST:CHANNEL:ID:LUN
	Type          int    // peripheral device type (SPC-5 6.6.2)
	Vendor, Model string
	Node          string // what opens it: the block device of a disk, else its generic one
}

var scsiAddress = regexp.MustCompile(`^\d+:\d+:\d+:\d+$`)

// Find returns the device that a path (/dev/sg3, /dev/tape/by-id/...) or an
// address (HOST:CHANNEL:ID:LUN) leads to.
func (s SCSI) Find(path string) (SCSIDevice, error) {
	address := path
	if !scsiAddress.MatchString(path) {
		var err error
		if address, err = s.addressOf(path); err != nil {
			return SCSIDevice{}, fmt.Errorf("find SCSI device %s: %w", path, err)
		}
	}
	d, err := s.look(address)
	if errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("find SCSI device %s: this machine has none at %s (lsscsi -g lists those that it has): %w", path, address, err)
	}
	if err != nil {
		return d, fmt.Errorf("find SCSI device %s: %w", path, err)
	}
	return d, nil
}

func (s SCSI) root() string {
	if s.Sys == "" {
		return "/sys"
	}
	return s.Sys
}

// addressOf is the address of the device that a device node opens.
func (s SCSI) addressOf(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	number, err := rdev(path)
	if err != nil {
		return "", err
	}
	kind := "block"
	switch {
	case fi.Mode()&os.ModeCharDevice != 0:
		kind = "char"
	case fi.Mode()&os.ModeDevice == 0:
		return "", errors.New("it is no device")
	}
	return s.addressOfNumber(kind, unix.Major(number), unix.Minor(number))
}

func rdev(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	return st.Rdev, nil
}

func (s SCSI) addressOfNumber(kind string, major, minor uint32) (string, error) {
	at := filepath.Join(s.root(), "dev", kind, fmt.Sprintf("%d:%d", major, minor))
	if _, err := os.Stat(filepath.Join(at, "partition")); err == nil {
		return "", errors.New("it is a partition; name the whole disk")
	}
	to, err := os.Readlink(filepath.Join(at, "device"))
	if err != nil || !scsiAddress.MatchString(filepath.Base(to)) {
		return "", errors.New("it is no SCSI device")
	}
	return filepath.Base(to), nil
}

// look reads what sysfs says of a device.
func (s SCSI) look(address string) (SCSIDevice, error) {
	at := filepath.Join(s.root(), "class/scsi_device", address, "device")
	read := func(file string) (string, error) {
		b, err := os.ReadFile(filepath.Join(at, file))
		return strings.TrimSpace(string(b)), err
	}
	kind, err := read("type")
	if err != nil {
		return SCSIDevice{}, err
	}
	d := SCSIDevice{Address: address}
	if d.Type, err = strconv.Atoi(kind); err != nil {
		return d, fmt.Errorf("its type %q is no number", kind)
	}
	if d.Vendor, err = read("vendor"); err != nil {
		return d, err
	}
	if d.Model, err = read("model"); err != nil {
		return d, err
	}
	// Disks have a block device; all have a generic one, with the module sg.
	for _, class := range []string{"block", "scsi_generic"} {
		entries, err := os.ReadDir(filepath.Join(at, class))
		if err == nil && len(entries) > 0 {
			d.Node = "/dev/" + entries[0].Name()
			return d, nil
		}
	}
	return d, errors.New("nothing opens it: is the module sg loaded?")
}
