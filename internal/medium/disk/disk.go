// Package disk says which disks a machine has, what uses them and what is on
// them, before one is overwritten.
package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Disk is a whole disk: no partition.
type Disk struct {
	Name       string `json:"name"` // sda
	Path       string `json:"path"` // /dev/sda
	Model      string `json:"model,omitempty"`
	Serial     string `json:"serial,omitempty"`
	Transport  string `json:"transport,omitempty"` // usb, sata, nvme, sas, virtio, mmc, scsi; md for an array
	Size       int64  `json:"size"`
	SectorSize int    `json:"sector_size"` // logical
	ReadOnly   bool   `json:"read_only,omitempty"`
	Removable  bool   `json:"removable,omitempty"`
	// Uses says in words what the disk and its partitions are used for now.
	Uses []string `json:"uses,omitempty"`
}

// String names it as people know it: path, model, serial number, size and
// transport.
func (d Disk) String() string {
	s := d.Path
	for _, part := range []string{d.Model, d.serial(), HumanSize(d.Size), d.Transport} {
		if part != "" {
			s += ", " + part
		}
	}
	return s
}

func (d Disk) serial() string {
	if d.Serial == "" {
		return ""
	}
	return "serial " + d.Serial
}

// HumanSize counts as drives' makers do.
func HumanSize(n int64) string {
	v, unit := float64(n), "bytes"
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	if v < 10 && unit != "bytes" {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// Machine is where the kernel shows the disks.
type Machine struct{ Sys, Proc, Dev string }

// This is the machine that runs the program.
func This() Machine { return Machine{"/sys", "/proc", "/dev"} }

// List returns the machine's disks that could become a medium, in order.
func (m Machine) List() ([]Disk, error) {
	names, err := os.ReadDir(filepath.Join(m.Sys, "block"))
	if err != nil {
		return nil, fmt.Errorf("list the disks: %w", err)
	}
	var list []Disk
	for _, entry := range names {
		if !isDisk(entry.Name()) {
			continue
		}
		d, err := m.describe(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went away meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list the disks: %s: %w", entry.Name(), err)
		}
		if d.Size > 0 { // a reader without a card has none
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b Disk) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name)) // sda before sdaa
	})
	return list, nil
}

// isDisk leaves out what holds no medium: memory, CD-ROMs, mapped devices.
func isDisk(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "fd", "sr", "nbd", "dm-", "mtdblock", "drbd"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !strings.Contains(name, "boot") && !strings.HasSuffix(name, "rpmb") // parts of an eMMC
}

// Look describes the disk that a path leads to: /dev/sda, /dev/disk/by-id/...
// A partition is an error that names its disk.
func (m Machine) Look(path string) (Disk, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Disk{}, fmt.Errorf("look at disk %s: %w", path, err)
	}
	name := filepath.Base(real)
	if _, err := os.Stat(filepath.Join(m.Sys, "class/block", name)); err != nil {
		return Disk{}, fmt.Errorf("look at disk %s: it is no block device", path)
	}
	if m.has(name, "partition") {
		return Disk{}, fmt.Errorf("%s is a partition; name the disk: %s", path, filepath.Join(m.Dev, m.ParentOf(name)))
	}
	d, err := m.describe(name)
	if err != nil {
		return Disk{}, fmt.Errorf("look at disk %s: %w", path, err)
	}
	return d, nil
}

// ParentOf returns the disk that a partition is on; a disk's own name for a
// disk.
func (m Machine) ParentOf(name string) string {
	dir, err := filepath.EvalSymlinks(filepath.Join(m.Sys, "class/block", name))
	if err != nil || !m.has(name, "partition") {
		return name
	}
	return filepath.Base(filepath.Dir(dir))
}

func (m Machine) describe(name string) (Disk, error) {
	dir, err := filepath.EvalSymlinks(filepath.Join(m.Sys, "class/block", name))
	if err != nil {
		return Disk{}, err
	}
	sectors, err := strconv.ParseInt(line(dir, "size"), 10, 64)
	if err != nil {
		return Disk{}, fmt.Errorf("its size: %w", err)
	}
	d := Disk{
		Name: name, Path: filepath.Join(m.Dev, name), Size: sectors * 512, SectorSize: 512,
		Model: model(dir), Serial: serial(dir), Transport: transport(dir),
		ReadOnly: line(dir, "ro") == "1", Removable: line(dir, "removable") == "1",
	}
	if n, err := strconv.Atoi(line(dir, "queue/logical_block_size")); err == nil {
		d.SectorSize = n
	}
	if d.Uses, err = m.uses(name, dir); err != nil {
		return Disk{}, err
	}
	return d, nil
}

func model(dir string) string {
	vendor, name := line(dir, "device/vendor"), line(dir, "device/model")
	if strings.HasPrefix(vendor, "0x") || vendor == "ATA" { // a number for virtio and NVMe
		vendor = ""
	}
	if name == "" {
		name = line(dir, "device/name") // eMMC and SD
	}
	return printable(strings.Join(strings.Fields(vendor+" "+name), " "))
}

func serial(dir string) string {
	for _, file := range []string{"serial", "device/serial"} {
		if s := line(dir, file); s != "" {
			return printable(s)
		}
	}
	// Of SCSI disks the kernel keeps the page as it came: four bytes, then the
	// number (SPC-5, 7.7.19).
	if page, err := os.ReadFile(filepath.Join(dir, "device/vpd_pg80")); err == nil && len(page) > 4 {
		if s := printable(strings.TrimSpace(string(page[4:]))); s != "" {
			return s
		}
	}
	// A stick's is its USB device's, a few directories up.
	for up := dir; strings.Contains(up, "/usb"); up = filepath.Dir(up) {
		if s := line(up, "serial"); s != "" {
			return printable(s)
		}
	}
	return ""
}

func transport(dir string) string {
	for _, t := range []struct{ part, name string }{
		{"/usb", "usb"}, {"/nvme", "nvme"}, {"/mmc", "mmc"}, {"/ata", "sata"}, {"/virtio", "virtio"},
		{"/end_device-", "sas"}, {"/virtual/block/md", "md"}, {"/host", "scsi"},
	} {
		if strings.Contains(dir, t.part) {
			return t.name
		}
	}
	return ""
}

// printable keeps what a drive says of itself from steering the terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

func (m Machine) has(name, file string) bool {
	_, err := os.Stat(filepath.Join(m.Sys, "class/block", name, file))
	return err == nil
}

func line(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Claim opens a disk for writing, for this process alone: the kernel refuses
// that while something uses the disk or a partition of it.
func Claim(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, fmt.Errorf("open disk %s: it is in use (mounted, swap, or part of an array, volume group or mapping)", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", path, err)
	}
	return f, nil
}
