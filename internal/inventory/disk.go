// Package inventory puts the disks and RAID arrays that the API tells of into
// words for people. All faces show the same.
package inventory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// Pair is something that is known of an object: what, and its value.
type Pair struct{ Name, Value string }

// Pairs are all that is known; those without a value are left out.
type Pairs []Pair

func (p *Pairs) add(name, value string) {
	if value != "" {
		*p = append(*p, Pair{name, value})
	}
}

// Kind is how a disk is reached, and whether it spins.
func Kind(d v1.Disk) string {
	if d.Type != "disk" {
		return d.Type
	}
	kind := "SSD"
	if d.Rotational {
		kind = "HDD"
	}
	return strings.TrimSpace(d.Transport + " " + kind)
}

// Slot is where a disk is, if an enclosure tells.
func Slot(d v1.Disk) string {
	if d.Location == nil {
		return ""
	}
	return d.Location.Enclosure + " " + d.Location.Slot
}

// Health is how a disk is, in a word.
func Health(d v1.Disk) string {
	switch s := d.SMART; {
	case d.Trouble != "":
		return "failing"
	case s == nil:
		return ""
	case s.Passed != nil && s.Asleep:
		return "ok (asleep)"
	case s.Passed != nil:
		return "ok"
	case s.Asleep:
		return "asleep"
	}
	return ""
}

// Used is who has a device; why it cannot be chosen if nobody has.
func Used(d v1.Disk) string {
	switch {
	case d.Claimed != "":
		return d.Claimed
	case d.Why != "":
		return "(" + d.Why + ")"
	case d.Free:
		return "free"
	}
	return ""
}

// Find finds a block device by what people call it.
func Find(now v1.StorageState, name string) (v1.Disk, bool) {
	for _, d := range slices.Concat(now.Disks, now.Blocks) {
		if slices.Contains([]string{d.ID, d.Path, d.Name}, name) || slices.Contains(d.Links, name) || slices.Contains(d.Links, "/dev/disk/by-id/"+name) {
			return d, true
		}
	}
	return v1.Disk{}, false
}

// byKernel finds a block device by the kernel's name alone.
func byKernel(now v1.StorageState, name string) (v1.Disk, bool) {
	for _, d := range slices.Concat(now.Disks, now.Blocks) {
		if d.Name == name {
			return d, true
		}
	}
	return v1.Disk{}, false
}

// Disk is all that is known of a block device.
func Disk(now v1.StorageState, d v1.Disk) Pairs {
	var p Pairs
	p.add("Name", d.ID)
	p.add("Path", d.Path)
	p.add("Links", strings.Join(d.Links, ", "))
	p.add("Kind", Kind(d))
	p.add("Vendor", d.Vendor)
	p.add("Model", d.Model)
	p.add("Serial", d.Serial)
	p.add("WWN", d.WWN)
	p.add("SCSI address", d.Address)
	p.add("Size", fmt.Sprintf("%s (%d bytes)", config.Size(d.Size).Human(), d.Size))
	p.add("Sectors", fmt.Sprintf("%d bytes, on the medium %d", d.Sector, d.Physical))
	p.add("Read-only", yesNo(d.ReadOnly))
	p.add("Takes discards", yesNo(d.Discards))
	p.add("State", d.State)
	if s := d.Location; s != nil {
		p.add("Slot", strings.TrimSpace(s.Slot+" of enclosure "+s.Enclosure+" "+s.Model))
		p.add("Locate LED", map[bool]string{true: "blinks", false: "off"}[s.Locate])
		p.add("Fault LED", yesNo(s.Fault))
	}
	p.add("Used by", Used(d))
	if d.Claimed != "" {
		p.add("Why not free", d.Why)
	}
	p.add("Holds", d.Holds)
	p.add("Mounted", strings.Join(d.Mounts, ", "))
	p.add("Stands on", strings.Join(d.Below, ", "))
	for _, name := range d.Above {
		if on, ok := byKernel(now, name); ok {
			p.add("On it", strings.TrimSpace(fmt.Sprintf("%s (%s, %s) %s", on.ID, on.Type, config.Size(on.Size).Human(), on.Holds)))
		}
	}
	p.health(d)
	return p
}

// health is what a disk says of itself (SMART).
func (p *Pairs) health(d v1.Disk) {
	s := d.SMART
	if s == nil {
		return
	}
	number := func(name string, n *int64, unit string) {
		if n != nil {
			p.add(name, fmt.Sprintf("%d%s", *n, unit))
		}
	}
	p.add("Health", Health(d))
	p.add("Trouble", d.Trouble)
	p.add("As of", when(s.When))
	p.add("Firmware", s.Firmware)
	number("Temperature", s.Celsius, " °C")
	number("Powered on", s.Hours, " hours")
	number("Spins at", s.RPM, " rpm")
	number("Endurance used", s.Used, " %")
	number("Spare left", s.Spare, " %")
	number("Sectors replaced", s.Relocated, "")
	number("Sectors pending", s.Pending, "")
	number("Media errors", s.Media, "")
	if st := s.SelfTest; st != nil {
		p.add("Last self-test", st.Kind+": "+st.Result)
	}
	p.add("Not asked", s.Error)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
