package boot

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/boot/disks"
)

// Labels of a medium's file systems.
const (
	labelBoot = "ESOS_BOOT"
	labelRoot = "esos_root"
	labelConf = "esos_conf"
	labelLogs = "esos_logs"
	labelData = "esos_data"
	labelISO  = "ESOS-ISO"
)

// expected are the labels that every medium has.
var expected = []string{labelBoot, labelRoot, labelConf, labelLogs}

// times are how long the search for the medium waits for what.
type times struct {
	poll     time.Duration // between two looks
	tell     time.Duration // between two messages
	settled  time.Duration // without a new device or module: all are there
	grace    time.Duration // for partitions that a medium should have
	degraded time.Duration // for the other members of a mirror
	crash    time.Duration // until a crash has to be saved
}

func usualTimes() times {
	return times{poll: 20 * time.Millisecond, tell: 10 * time.Second, settled: 500 * time.Millisecond, grace: time.Second, degraded: 5 * time.Second, crash: 5 * time.Minute}
}

// findMedium waits until the medium that is asked for is there, or, if none
// is, until it is clear which there are.
func (b *Boot) findMedium(ctx context.Context) error {
	for _, name := range []string{"root", "conf", "iso"} { // of a try before
		if err := b.unmount(filepath.Join(MediumDir, name)); err != nil {
			return err
		}
	}
	b.scanner = disks.NewScanner(b.Root)
	began := time.Now()
	told := began
	mirrors := mirrors{b: b}
	s := search{grace: b.times.grace}
	for {
		devices := b.scanner.Scan()
		s.look(devices, b.report.Options.ISO != NoISO)
		mirrors.assemble(ctx, devices)
		waited := time.Since(began)
		choice := s.choose(b.report.Options.Medium, b.modules.quiet() >= b.times.settled, waited >= b.report.Options.Wait)
		if choice.medium != nil {
			for _, w := range choice.warnings {
				b.warn("%s", w)
			}
			b.report.Medium = *choice.medium
			b.Log.Info("found the medium", "device", b.report.Medium.Device, "model", b.report.Medium.Model, "uuid", b.report.Medium.UUID)
			return nil
		}
		if waited >= b.report.Options.Wait {
			return fmt.Errorf("no medium within %.0f s: want a file system labelled %s; %s", b.report.Options.Wait.Seconds(), s.label(), describe(devices))
		}
		if time.Since(told) >= b.times.tell {
			told = time.Now()
			b.say("waiting for the medium (%s) since %.0f s; %s", s.wanted(b.report.Options.Medium), waited.Seconds(), describe(devices))
		}
		select {
		case <-time.After(b.times.poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// search remembers between two looks what was there, and since when.
type search struct {
	grace time.Duration
	iso   bool
	found []candidate
	since map[string]time.Time // by device of esos_root
}

// candidate is a medium, and whether its disks were read to the last partition.
type candidate struct {
	Medium
	ready   bool
	missing []string // labels
}

// choice is the medium to boot, and what is odd about it.
type choice struct {
	medium   *Medium
	warnings []string
}

func (s *search) label() string {
	if s.iso {
		return labelISO
	}
	return labelRoot
}

func (s *search) wanted(hint string) string {
	if hint == "" {
		return s.label()
	}
	return s.label() + " with esos_medium=" + hint
}

func (s *search) look(devices []disks.Device, iso bool) {
	s.iso = iso
	s.found = media(devices, s.label())
	if s.since == nil {
		s.since = map[string]time.Time{}
	}
	for i, c := range s.found {
		root := c.Partitions[s.label()].Device
		if _, ok := s.since[root]; !ok {
			s.since[root] = time.Now()
		}
		// Partitions appear one after the other.
		if len(c.missing) > 0 && time.Since(s.since[root]) < s.grace {
			s.found[i].ready = false
		}
	}
}

// choose decides. settled says that no device appeared for a while, late that
// the time is over.
func (s *search) choose(hint string, settled, late bool) choice {
	var ready, matching []candidate
	for _, c := range s.found {
		if c.ready {
			ready = append(ready, c)
			if hint != "" && c.is(hint) {
				matching = append(matching, c)
			}
		}
	}
	var list []candidate
	var warnings []string
	switch {
	case len(matching) > 0:
		list = matching
		if len(matching) > 1 {
			warnings = append(warnings, fmt.Sprintf("%d media are what esos_medium=%s names (%s): booting the first; remove the other, or give it another UUID", len(matching), hint, names(matching)))
		}
	case len(ready) == 0:
		return choice{}
	case hint != "" && late:
		list = ready
		warnings = append(warnings, fmt.Sprintf("the medium that esos_medium=%s names did not appear: booting another, %s, with the settings that are saved there", hint, ready[0].Device))
	case hint == "" && (settled || late):
		list = ready
	default:
		return choice{}
	}
	if hint == "" && len(list) > 1 {
		warnings = append(warnings, fmt.Sprintf("there are %d media (%s): booting the first; remove the other, or say esos_medium=UUID", len(list), names(list)))
	}
	if m := list[0].missing; len(m) > 0 {
		warnings = append(warnings, fmt.Sprintf("the medium %s has no %s", list[0].Device, strings.Join(m, ", ")))
	}
	return choice{&list[0].Medium, warnings}
}

// is tells whether a hint names the medium: by the UUID of one of its file
// systems (GRUB names the one that it was loaded from), or by a device.
func (c candidate) is(hint string) bool {
	if strings.EqualFold(strings.TrimPrefix(hint, "UUID="), c.UUID) {
		return true
	}
	device := "/dev/" + strings.TrimPrefix(hint, "/dev/")
	if device == c.Device || slices.Contains(c.Disks, strings.TrimPrefix(device, "/dev/")) {
		return true
	}
	uuid := strings.TrimPrefix(hint, "UUID=")
	return slices.ContainsFunc(mapValues(c.Partitions), func(p Partition) bool {
		return p.Device == device || strings.EqualFold(p.UUID, uuid)
	})
}

func mapValues(m map[string]Partition) []Partition {
	var list []Partition
	for _, p := range m {
		list = append(list, p)
	}
	return list
}

// media finds the media among the devices: one for each file system with the
// label, with the other partitions of the same disks. Members of a mirror show
// what is in it, too; they are passed over for the mirror itself. The order is
// the same in each boot of the same machine.
func media(devices []disks.Device, label string) []candidate {
	member := map[string]bool{}
	for _, d := range devices {
		if d.Content.Member {
			member[d.Name] = true
		}
	}
	var list []candidate
	for _, d := range devices {
		if d.Content.Label != label || member[d.Name] || member[d.Disk] {
			continue
		}
		c := candidate{ready: true, Medium: Medium{
			Device: disk(devices, d).Path, Disks: d.Below, Model: d.Model, Transport: d.Transport, UUID: d.Content.UUID,
			Mirrored: d.Transport == "md", Partitions: map[string]Partition{label: partition(d)},
		}}
		if label == labelISO && d.Name != d.Disk && disk(devices, d).Content.Label == label {
			continue // a hybrid ISO's first partition: the disk itself is it
		}
		for _, o := range devices {
			if !intersect(o.Below, d.Below) {
				continue
			}
			if !o.Read && o.Err == nil {
				c.ready = false
			}
			if label != labelISO && slices.Contains([]string{labelBoot, labelConf, labelLogs, labelData}, o.Content.Label) &&
				!member[o.Name] && !member[o.Disk] {
				if _, twice := c.Partitions[o.Content.Label]; !twice {
					c.Partitions[o.Content.Label] = partition(o)
				}
			}
		}
		if label != labelISO {
			for _, l := range expected {
				if _, ok := c.Partitions[l]; !ok {
					c.missing = append(c.missing, l)
				}
			}
		}
		list = append(list, c)
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(rank(a.Transport), rank(b.Transport)) })
	return list
}

// rank puts first what a medium usually is.
func rank(transport string) int {
	if i := slices.Index([]string{"md", "usb", "mmc", "sata", "nvme", "virtio"}, transport); i >= 0 {
		return i
	}
	return 100
}

func partition(d disks.Device) Partition {
	return Partition{Device: d.Path, UUID: d.Content.UUID, Size: d.Size, check: d.Content.Check}
}

// disk is the device that d is a partition of, or d.
func disk(devices []disks.Device, d disks.Device) disks.Device {
	for _, o := range devices {
		if o.Name == d.Disk {
			return o
		}
	}
	return d
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func names(list []candidate) string {
	var s []string
	for _, c := range list {
		s = append(s, c.Device+" with UUID "+c.UUID)
	}
	return strings.Join(s, ", ")
}

// describe tells a person which disks there are, and what is on them.
func describe(devices []disks.Device) string {
	var list []string
	for _, d := range devices {
		if d.Name != d.Disk {
			continue
		}
		var parts []string
		for _, o := range devices {
			if o.Disk != d.Name {
				continue
			}
			switch {
			case o.Err != nil:
				parts = append(parts, fmt.Sprintf("%s cannot be read: %v", o.Name, o.Err))
			case o.Content.Member:
				parts = append(parts, o.Name+": member of a RAID")
			case o.Content.Label != "":
				parts = append(parts, o.Name+": "+o.Content.Label)
			case o.PartName != "":
				parts = append(parts, o.Name+": named "+o.PartName+", without a file system that is known")
			}
		}
		what := "nothing of ours on it"
		if len(parts) > 0 {
			what = strings.Join(parts, ", ")
		}
		list = append(list, fmt.Sprintf("%s, %.1f GB, %s [%s]", d, float64(d.Size)/1e9, cmp.Or(d.Transport, "?"), what))
	}
	if len(list) == 0 {
		return "no disk was seen"
	}
	return "seen: " + strings.Join(list, "; ")
}
