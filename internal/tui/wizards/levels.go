package wizards

import (
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// propose is the RAID level for a number of disks: that which survives as much
// as so many disks can without giving half of them away.
func propose(disks int) string {
	switch {
	case disks < 2:
		return ""
	case disks == 2:
		return "1"
	case disks == 3:
		return "5"
	}
	return "6"
}

// levels are those that an array of some disks can have, with what they leave
// to use.
func levels(sizes []int64) []frame.Option {
	var all []frame.Option
	n := len(sizes)
	for _, l := range []struct {
		level string
		least int
		keeps string
	}{
		{"1", 2, "all disks but one may fail"},
		{"5", 3, "one disk may fail"},
		{"6", 4, "two disks may fail"},
		{"10", 4, "one disk of each pair may fail"},
		{"0", 2, "no disk may fail: all is lost with the first"},
	} {
		o := frame.Option{Value: l.level, Cells: []string{"RAID " + l.level, "", l.keeps}}
		if n < l.least {
			o.Why = fmt.Sprintf("it needs %d disks, and %d are chosen", l.least, n)
		} else {
			o.Cells[1] = pick.Size(usable(l.level, sizes))
		}
		all = append(all, o)
	}
	return all
}

// usable is about what an array of disks has room for: of each as much as the
// smallest has, but for what md keeps there.
func usable(level string, sizes []int64) int64 {
	if len(sizes) == 0 {
		return 0
	}
	least := slices.Min(sizes)
	each, n := least-least/512-4<<20, int64(len(sizes))
	switch level {
	case "1":
		return each
	case "5":
		return each * (n - 1)
	case "6":
		return each * (n - 2)
	case "10":
		return each * n / 2
	}
	return each * n
}

// round is a size that people would write, not more than what is given, and
// that is a whole number of LVM's extents.
func round(size int64) string {
	if size >= 10<<30 {
		return fmt.Sprintf("%dGiB", size>>30)
	}
	const extent = 4 << 20
	if size < extent {
		return ""
	}
	return config.Size(size / extent * extent).String()
}
