// Package pick is what dialogs of the console offer to be chosen: disks,
// devices, targets and the like, with the reason where one cannot be.
package pick

import (
	"path"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/tui/frame"
)

// BlockColumns are the titles over Blocks.
func BlockColumns() []string { return []string{"disk", "size", "kind", "what it is", "on it"} }

// Blocks are the disks, and what Linux made of disks, for something new to be
// made of them: value is the path that a document has. Those that are used, or
// that ESOS runs from, say so.
func Blocks(s v1.StorageState) []frame.Option {
	var o []frame.Option
	for _, d := range slices.Concat(s.Disks, s.Blocks) {
		if d.Type == "rom" || d.Type == "loop" || d.Size == 0 {
			continue
		}
		what := strings.TrimSpace(d.Vendor + " " + d.Model + " " + d.Serial)
		o = append(o, frame.Option{Value: Path(d), Cells: []string{d.ID, Size(d.Size), d.Type, what, d.Holds}, Why: d.Why})
	}
	slices.SortStableFunc(o, func(a, b frame.Option) int {
		switch {
		case (a.Why == "") == (b.Why == ""):
			return 0
		case a.Why == "":
			return -1
		}
		return 1
	})
	return o
}

// Path is the name by which a document should call a block device: one that
// stays the same when disks come up in another order.
func Path(d v1.Disk) string {
	if d.Type == "lvm" { // documents have /dev/GROUP/VOLUME
		if group, volume, ok := lvm.Unmapped(path.Base(d.Path)); ok && strings.HasPrefix(d.Path, "/dev/mapper/") {
			return config.Volume{Name: volume}.Path(group)
		}
	}
	switch {
	case strings.HasPrefix(d.Path, "/dev/md/"), strings.HasPrefix(d.Path, "/dev/mapper/"):
		return d.Path
	case len(d.Links) > 0:
		return d.Links[0]
	}
	return d.Path
}

// Size is a size for people.
func Size(bytes int64) string { return config.Size(bytes).Human() }
