package layer

import (
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/multipathd"
)

// Multipath are the disks that are reached by several paths.
type Multipath struct {
	Maps    []multipathd.Map
	Conf    string // multipathd's configuration, "" if there is none
	Running bool   // multipathd runs
	Err     error  // why they could not be looked at
}

// Map finds the map that gathers the paths of a disk.
func (m Multipath) Map(wwid string) (multipathd.Map, bool) {
	i := slices.IndexFunc(m.Maps, func(f multipathd.Map) bool { return f.WWID == wwid })
	if i < 0 {
		return multipathd.Map{}, false
	}
	return m.Maps[i], true
}

// WWID is the identifier by which multipath knows a disk, "" if it has none.
// For SCSI disks it is what udev calls ID_SERIAL: a 3 before an NAA identifier
// (scsi_id(8)); for those of NVMe it is the WWN.
func WWID(d block.Device) string {
	switch {
	case d.Type != "disk":
		return ""
	case strings.HasPrefix(d.WWN, "0x"):
		return "3" + strings.TrimPrefix(d.WWN, "0x")
	}
	return d.WWN
}

// Ways are the disks that lead to the disk with an identifier.
func Ways(inv *block.Inventory, wwid string) []block.Device {
	var ways []block.Device
	for _, d := range inv.Devices() {
		if d.Type == "disk" && isWWID(d, wwid) {
			ways = append(ways, d)
		}
	}
	return ways
}

// OnlyAPath says whether a disk is one path to a disk that the document has the
// paths gathered of. Nothing is brought up on it: what it holds is the map's,
// and multipathd could not gather what is in use.
func OnlyAPath(declared *config.Document, d block.Device) bool {
	return d.Type == "disk" && slices.ContainsFunc(declared.Storage.Multipath.Maps, func(m config.MultipathMap) bool { return isWWID(d, m.WWID) })
}

func isWWID(d block.Device, wwid string) bool {
	return wwid != "" && (WWID(d) == wwid || slices.ContainsFunc(d.Links, func(l string) bool {
		return l == "/dev/disk/by-id/scsi-"+wwid || l == "/dev/disk/by-id/nvme-"+wwid
	}))
}

// SeveralWays are the disks that are reached by several paths which nobody
// gathers, each with its paths. Those of NVMe the kernel gathers itself.
func SeveralWays(inv *block.Inventory) [][]block.Device {
	var all [][]block.Device
	told := map[string]bool{}
	for _, d := range inv.Devices() {
		id := WWID(d)
		if id == "" || told[id] || d.Transport == "nvme" {
			continue
		}
		told[id] = true
		ways := Ways(inv, id)
		gathered := slices.ContainsFunc(ways, func(w block.Device) bool {
			return slices.ContainsFunc(w.Above, func(n string) bool { up, _ := inv.Named(n); return up.Type == "mpath" })
		})
		if len(ways) > 1 && !gathered {
			all = append(all, ways)
		}
	}
	return all
}
