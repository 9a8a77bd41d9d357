package raid

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// levelColumns are the titles over levels.
func levelColumns() []string {
	return []string{"level", "what it does", "disks", "survives the loss of"}
}

// levels are the RAID levels, in the order in which they are best for most.
func levels() []frame.Option {
	var o []frame.Option
	for _, l := range [][3]string{
		{"6", "two blocks of parity", "any 2 disks"},
		{"10", "copies over all disks", "1 disk of each copy"},
		{"1", "the same on each disk", "all disks but 1"},
		{"5", "one block of parity", "any 1 disk"},
		{"4", "as 5, parity on one disk", "any 1 disk"},
		{"0", "no redundancy", "NOTHING"},
	} {
		o = append(o, frame.Option{Value: l[0], Cells: []string{"RAID " + l[0], l[1], fmt.Sprint(config.FewestDisks(l[0])), l[2]}})
	}
	return o
}

// copies is how many copies of each block an array of level 10 has.
func copies(layout string) int {
	if n, err := strconv.Atoi(strings.TrimLeft(layout, "nfo")); err == nil && n > 1 {
		return n
	}
	return 2
}

// capacity is about what an array of disks of these sizes holds: what its own
// data take, some MiB of each disk, is not taken off.
func capacity(level, layout string, sizes []int64) int64 {
	if len(sizes) < config.FewestDisks(level) || config.FewestDisks(level) == 0 {
		return 0
	}
	least := sizes[0]
	for _, s := range sizes {
		least = min(least, s)
	}
	n := int64(len(sizes))
	switch level {
	case "0": // the kernel uses all of each disk, in zones
		sum := int64(0)
		for _, s := range sizes {
			sum += s
		}
		return sum
	case "1":
		return least
	case "4", "5":
		return least * (n - 1)
	case "6":
		return least * (n - 2)
	}
	return least * n / int64(copies(layout))
}

// usable says in words what an array would hold.
func usable(level, layout string, sizes []int64) string {
	if level == "" {
		return "Usable: choose a level and disks to see it."
	}
	if n := config.FewestDisks(level); len(sizes) < n {
		return fmt.Sprintf("Usable: RAID %s needs %d disks or more; %d chosen.", level, n, len(sizes))
	}
	least, most, sum := sizes[0], sizes[0], int64(0)
	for _, s := range sizes {
		least, most = min(least, s), max(most, s)
		sum += s
	}
	text := fmt.Sprintf("Usable: about %s of %s.", config.Size(capacity(level, layout, sizes)).Human(), config.Size(sum).Human())
	if least != most && level != "0" {
		text += fmt.Sprintf(" Disks differ: %s of each is used.", config.Size(least).Human())
	}
	return text
}

// chunks are the stripe units to choose from.
func chunks() []frame.Option {
	o := []frame.Option{{Value: usual, Cells: []string{"512KiB, the usual one"}}}
	for s := config.Size(4 << 10); s <= 64<<20; s *= 2 {
		o = append(o, frame.Option{Value: s.String()})
	}
	return o
}

// layouts are where blocks may go, by level.
func layouts(level string) []frame.Option {
	o := []frame.Option{{Value: usual, Cells: []string{"the usual one"}}}
	switch level {
	case "5", "6":
		return append(o, frame.Options("left-symmetric", "left-asymmetric", "right-symmetric", "right-asymmetric", "parity-first", "parity-last")...)
	case "10":
		return append(o, frame.Option{Value: "n2", Cells: []string{"n2", "2 copies, near"}}, frame.Option{Value: "f2", Cells: []string{"f2", "2 copies, far: reads as RAID 0, writes slower"}},
			frame.Option{Value: "o2", Cells: []string{"o2", "2 copies, offset"}}, frame.Option{Value: "n3", Cells: []string{"n3", "3 copies, near"}}, frame.Option{Value: "f3", Cells: []string{"f3", "3 copies, far"}})
	}
	return o
}
