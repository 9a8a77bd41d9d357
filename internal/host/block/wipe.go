package block

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Wiper runs what wipes a device (host.Linux).
type Wiper interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// Wipe takes away whatever tells what is on a device: the signatures in its
// partitions, its own, its partition table, and what is in its first and last
// MiB, where formats look. It refuses a device that something stands on, and
// one that is another one than when d was read: disks are swapped meanwhile.
func Wipe(ctx context.Context, m Wiper, d Device) error {
	parts, err := wipeable(ctx, m, d)
	if err != nil {
		return fmt.Errorf("wipe %s: %w", d.Path, err)
	}
	for _, p := range append(parts, d.Path) {
		if _, err := m.Output(ctx, host.Call{Name: "wipefs", Args: []string{"--all", "--quiet", p}}); err != nil {
			return fmt.Errorf("wipe %s: %w", p, err)
		}
	}
	for _, at := range []int64{0, max(0, d.Size-1<<20)} {
		end := []string{"--zeroout", "--offset", strconv.FormatInt(at, 10), "--length", strconv.FormatInt(min(1<<20, d.Size), 10), d.Path}
		if _, err := m.Output(ctx, host.Call{Name: "blkdiscard", Args: end}); err != nil {
			return fmt.Errorf("wipe %s: %w", d.Path, err)
		}
	}
	return Settle(ctx, m)
}

// Discard tells a disk that nothing on it is needed any more, after its
// signatures were wiped. What was there can mostly not be read any more, which
// no standard promises.
func Discard(ctx context.Context, m Wiper, d Device) error {
	if err := Wipe(ctx, m, d); err != nil {
		return err
	}
	if _, err := m.Output(ctx, host.Call{Name: "blkdiscard", Args: []string{d.Path}}); err != nil {
		return fmt.Errorf("discard %s: %w", d.Path, err)
	}
	return Settle(ctx, m)
}

// wipeable looks whether a device may be wiped still, and returns the paths of
// its partitions.
func wipeable(ctx context.Context, m Wiper, d Device) ([]string, error) {
	out, err := m.Output(ctx, host.Call{Name: "lsblk", Args: []string{"--json", "--list", "--bytes", "--output", "PATH,TYPE,SIZE,SERIAL,WWN,MOUNTPOINTS", d.Path}})
	if err != nil {
		return nil, err
	}
	var list struct {
		Devices []listed `json:"blockdevices"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("lsblk's answer: %w", err)
	}
	var parts []string
	there := false
	for _, l := range list.Devices {
		switch mounted := slices.DeleteFunc(l.Mounts, func(at string) bool { return at == "" }); {
		case len(mounted) > 0:
			return nil, fmt.Errorf("%s is mounted at %s", l.Path, strings.Join(mounted, ", "))
		case l.Path == d.Path:
			there = true
			if l.Size != d.Size || printable(l.Serial) != d.Serial || printable(l.WWN) != d.WWN {
				return nil, fmt.Errorf("another device is there now (serial %q, %d bytes; it was serial %q, %d bytes); plan again", printable(l.Serial), l.Size, d.Serial, d.Size)
			}
		case l.Type == "part":
			parts = append(parts, l.Path)
		default:
			return nil, fmt.Errorf("%s (%s) stands on it; give that up first", l.Path, l.Type)
		}
	}
	if !there {
		return nil, errors.New("it is not there any more")
	}
	slices.Sort(parts)
	return slices.Compact(parts), nil
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
		// A volume or what is encrypted is no medium: what initiators write
		// there, they may label as they like.
		if d.Type != "part" && d.Type != "disk" && !strings.HasPrefix(d.Type, "raid") && d.Type != "mpath" {
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

// WipeAt wipes the device that a path leads to now: one that ESOS made itself,
// and knows by the path.
func WipeAt(ctx context.Context, m Machine, path string) error {
	inv, err := Read(ctx, m)
	if err != nil {
		return fmt.Errorf("wipe %s: %w", path, err)
	}
	d, ok := inv.Find(path)
	if !ok {
		return fmt.Errorf("wipe %s: it is not there any more", path)
	}
	return Wipe(ctx, m, d)
}
