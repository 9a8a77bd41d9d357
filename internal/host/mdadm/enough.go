package mdadm

import "strings"

// Enough says whether an array works with what it has in sync, leaving out the
// member without ("" to leave out none).
func (a Array) Enough(without string) bool {
	have := make([]bool, max(a.Disks, 0))
	n := 0
	for _, m := range a.Members {
		if m.Kernel != without && m.Is("in_sync") && !m.Is("faulty") && m.Role >= 0 && m.Role < len(have) && !have[m.Role] {
			have[m.Role] = true
			n++
		}
	}
	switch a.Level {
	case "1":
		return n >= 1
	case "4", "5":
		return n >= a.Disks-1
	case "6":
		return n >= a.Disks-2
	case "10":
		return enough10(a.Layout, have)
	default:
		return n >= a.Disks
	}
}

// enough10 says whether each block of a RAID 10 has a copy left. Copies of a
// block are on neighbouring disks (md(4), RAID10).
func enough10(layout string, have []bool) bool {
	if len(layout) < 2 || len(have) == 0 {
		return false
	}
	copies := int(leading(layout[1:]))
	step := 1
	if strings.HasPrefix(layout, "n") {
		step = copies
	}
	if copies < 1 || copies > len(have) {
		return false
	}
	for first := 0; ; {
		found := false
		for i := range copies {
			found = found || have[(first+i)%len(have)]
		}
		if !found {
			return false
		}
		if first = (first + step) % len(have); first == 0 {
			return true
		}
	}
}
