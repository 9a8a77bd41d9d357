package layer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// Leads says whether a device stands on one of the disks, over however many
// parts, and has no other path to what they hold.
func Leads(inv *block.Inventory, d block.Device, disks, going []string) bool {
	if slices.Contains(disks, d.Name) {
		return true
	}
	if d.Type == "mpath" && slices.ContainsFunc(d.Below, func(n string) bool { return !slices.Contains(going, n) }) {
		return false
	}
	return slices.ContainsFunc(d.Below, func(n string) bool {
		below, ok := inv.Named(n)
		return ok && Leads(inv, below, disks, going)
	})
}

// Users says what of the machine uses disks that go, whoever set that up. What
// gathers them and has another path does not count, nor what gathers them for
// nobody.
func Users(inv *block.Inventory, disks, going []string) []string {
	var by []string
	var visit func(d block.Device)
	visit = func(d block.Device) {
		if len(d.Mounts) > 0 {
			by = append(by, fmt.Sprintf("%s is mounted at %s", d.Path, strings.Join(d.Mounts, ", ")))
		}
		for _, name := range d.Above {
			up, ok := inv.Named(name)
			switch {
			case !ok:
			case up.Type == "part":
				visit(up)
			case up.Type == "mpath":
				if !slices.ContainsFunc(up.Below, func(n string) bool { return !slices.Contains(going, n) }) {
					visit(up)
				}
			default:
				by = append(by, fmt.Sprintf("%s is in use by %s (%s)", d.Path, up.Friendly(), up.Type))
			}
		}
	}
	for _, n := range disks {
		if d, ok := inv.Named(n); ok {
			visit(d)
		}
	}
	return by
}
