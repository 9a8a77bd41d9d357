// Package enclosure says which slot of which enclosure a disk is in, and makes
// the slot's locate LED blink.
package enclosure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Slot is a place for a disk in an enclosure that the kernel knows of (SES).
type Slot struct {
	Enclosure string `json:"enclosure"` // SCSI's HOST:CHANNEL:ID:LUN, as the kernel names it
	Model     string `json:"model,omitempty"`
	Slot      string `json:"slot"` // as the enclosure calls it: Slot 04, ArrayDevice03
	Number    string `json:"number,omitempty"`
	Status    string `json:"status,omitempty"` // the enclosure's word: OK, not installed, critical
	Locate    bool   `json:"locate"`           // its LED blinks
	Fault     bool   `json:"fault,omitempty"`  // its fault LED is lit
}

// Machine is the part of the host that enclosures are seen through (host.Linux).
type Machine interface {
	ReadDir(path string) ([]string, error)
	ReadFile(path string) ([]byte, error)
	Tell(path, text string) error
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// dir has a directory for each enclosure, and in it one for each slot
// (linux/drivers/misc/enclosure.c).
const dir = "/sys/class/enclosure"

// Slots are the slots that hold a disk, by the kernel's name of the disk.
func Slots(m Machine) (map[string]Slot, error) {
	slots := map[string]Slot{}
	err := each(m, func(at, disk string) {
		number := text(m, path.Join(at, "slot"))
		enclosure := path.Dir(at)
		slots[disk] = Slot{
			Enclosure: path.Base(enclosure), Slot: path.Base(at), Number: number,
			Model:  strings.TrimSpace(text(m, path.Join(enclosure, "device/vendor")) + " " + text(m, path.Join(enclosure, "device/model"))),
			Status: text(m, path.Join(at, "status")),
			Locate: lit(text(m, path.Join(at, "locate"))), Fault: lit(text(m, path.Join(at, "fault"))),
		}
	})
	return slots, err
}

// each visits the slots that hold a disk: their directory, and the kernel's
// name of the disk.
func each(m Machine, visit func(at, disk string)) error {
	enclosures, err := m.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no enclosure, or no driver for any
	}
	if err != nil {
		return fmt.Errorf("list the enclosures: %w", err)
	}
	for _, e := range enclosures {
		names, err := m.ReadDir(path.Join(dir, e))
		if err != nil {
			continue // it went while we looked
		}
		for _, n := range names {
			at := path.Join(dir, e, n)
			disks, err := m.ReadDir(path.Join(at, "device/block"))
			if err != nil || len(disks) == 0 {
				continue // no slot, or nothing is in it
			}
			visit(at, disks[0])
		}
	}
	return nil
}

// lit says whether an attribute of a slot is on: 1, or 2 where it is the
// enclosure's own doing.
func lit(value string) bool { return value != "" && value != "0" }

func text(m Machine, path string) string {
	b, err := m.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Locate makes the LED at a disk, by the kernel's name, blink or stop. Where
// the kernel knows of no slot, ledctl(8) may reach the LED by other ways: that
// of a backplane (SGPIO), of an NVMe slot (NPEM, VMD).
func Locate(ctx context.Context, m Machine, disk string, on bool) error {
	found := ""
	err := each(m, func(at, d string) {
		if d == disk {
			found = path.Join(at, "locate")
		}
	})
	value, word := "0", "locate_off"
	if on {
		value, word = "1", "locate"
	}
	if err == nil && found != "" {
		if err = m.Tell(found, value); err == nil {
			return nil
		}
		err = fmt.Errorf("tell the enclosure (%s): %w", found, err)
	}
	if _, ledErr := m.Output(ctx, host.Call{Name: "ledctl", Args: []string{word + "=/dev/" + disk}}); ledErr != nil {
		return fmt.Errorf("set the locate LED at %s: %w; not every slot has one: find the disk by its serial number", disk, errors.Join(err, ledErr))
	}
	return nil
}
