package block

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/host"
)

// Wiper runs what wipes a device (host.Linux).
type Wiper interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Wipe takes away whatever tells what is on a device of size bytes: the
// signatures in its partitions, its own, its partition table, and what is in
// its first and last MiB, where formats look. It refuses a device that
// something stands on.
func Wipe(ctx context.Context, m Wiper, path string, size int64) error {
	out, err := m.Output(ctx, host.Call{Name: "lsblk", Args: []string{"--json", "--list", "--output", "PATH,TYPE", path}})
	if err != nil {
		return fmt.Errorf("wipe %s: %w", path, err)
	}
	var list struct {
		Devices []struct{ Path, Type string } `json:"blockdevices"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("wipe %s: lsblk's answer: %w", path, err)
	}
	var parts []string
	for _, d := range list.Devices {
		switch {
		case d.Path == path:
		case d.Type == "part":
			parts = append(parts, d.Path)
		default:
			return fmt.Errorf("wipe %s: %s (%s) stands on it; give that up first", path, d.Path, d.Type)
		}
	}
	slices.Sort(parts)
	for _, p := range append(parts, path) {
		if _, err := m.Output(ctx, host.Call{Name: "wipefs", Args: []string{"--all", "--quiet", p}}); err != nil {
			return fmt.Errorf("wipe %s: %w", p, err)
		}
	}
	for _, at := range []int64{0, max(0, size-1<<20)} {
		end := []string{"--zeroout", "--offset", strconv.FormatInt(at, 10), "--length", strconv.FormatInt(min(1<<20, size), 10), path}
		if _, err := m.Output(ctx, host.Call{Name: "blkdiscard", Args: end}); err != nil {
			return fmt.Errorf("wipe %s: %w", path, err)
		}
	}
	return Settle(ctx, m)
}

// Settle waits until udev has looked at what changed.
func Settle(ctx context.Context, m Wiper) error {
	if _, err := m.Output(ctx, host.Call{Name: "udevadm", Args: []string{"settle", "--timeout=60"}}); err != nil {
		return fmt.Errorf("wait for udev: %w", err)
	}
	return nil
}

// Media are the disks that ESOS is booted from, by the labels of their
// partitions: this one, and others that could take its place.
func Media(inv *Inventory) map[string]bool {
	media := map[string]bool{}
	labels := []string{"ESOS_BOOT", "esos_root", "esos_conf", "esos_logs", "esos_data"}
	for _, d := range inv.Devices() {
		if d.Type != "part" && d.Type != "disk" && len(d.Below) == 0 {
			continue
		}
		if slices.Contains(labels, d.Label) || slices.Contains(labels, d.PartName) {
			markBelow(inv, d, media)
		}
	}
	return media
}

// markBelow marks all disks that a device stands on.
func markBelow(inv *Inventory, d Device, media map[string]bool) {
	if len(d.Below) == 0 {
		media[d.Name] = true
	}
	for _, name := range d.Below {
		if below, ok := inv.Named(name); ok {
			markBelow(inv, below, media)
		}
	}
}
