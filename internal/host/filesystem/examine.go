package filesystem

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Examined is what a look for damage found.
type Examined struct {
	Good bool
	Said string // by whom it was looked at, and what they said of damage
}

// Examine looks for damage on a device whose file system is not mounted, all
// of it, and changes nothing.
func Examine(ctx context.Context, m Machine, kind, device string) (Examined, error) {
	c, ok := map[string]host.Call{
		XFS:   {Name: "xfs_repair", Args: []string{"-n", device}},
		Ext4:  {Name: "e2fsck", Args: []string{"-f", "-n", device}},
		Btrfs: {Name: "btrfs", Args: []string{"check", "--readonly", device}},
	}[kind]
	if !ok {
		return Examined{}, fmt.Errorf("examine %s: there is no type %q", device, kind)
	}
	_, err := m.Output(ctx, c)
	var e *host.ExitError
	switch {
	case err == nil:
		return Examined{Good: true, Said: c.String() + " found no damage"}, nil
	case !errors.As(err, &e):
		return Examined{}, fmt.Errorf("examine %s: %w", device, err)
	case kind == XFS && e.Code == 2: // xfs_repair(8), "EXIT STATUS"
		return Examined{Said: "it was not unmounted: its log has to be replayed first, which mounting does"}, nil
	}
	return Examined{Said: fmt.Sprintf("%s found damage: %s", c.String(), e.Said)}, nil
}

// ExamineMounted tells what a mounted file system knows of its own damage. None
// of them can be looked over whole while it is in use.
func ExamineMounted(ctx context.Context, m Machine, mount Mount) (Examined, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if mount.ReadOnly {
		return Examined{Said: "the kernel made it read-only after an error"}, nil
	}
	var c host.Call
	var wrong func([]byte) string
	switch mount.Type {
	case Ext4:
		c, wrong = host.Call{Name: "dumpe2fs", Args: []string{"-h", mount.Source}}, ext4Errors
	case Btrfs:
		c, wrong = host.Call{Name: "btrfs", Args: []string{"device", "stats", mount.Target}}, btrfsErrors
	case XFS:
		// What it meets while in use shuts it down; it keeps no list.
		return Examined{Good: true, Said: "it is in use and has met no damage"}, nil
	default:
		return Examined{}, fmt.Errorf("examine %s: it is %s", mount.Target, mount.Type)
	}
	out, err := m.Output(ctx, c)
	if err != nil {
		return Examined{}, fmt.Errorf("examine %s: %w", mount.Target, err)
	}
	if said := wrong(out); said != "" {
		return Examined{Said: said}, nil
	}
	return Examined{Good: true, Said: "it is in use and has met no damage"}, nil
}

// ext4Errors reads the state and the count of errors in dumpe2fs's answer.
func ext4Errors(text []byte) string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimSpace(value)
		if name == "Filesystem state" && strings.Contains(value, "error") || name == "FS Error count" {
			found = append(found, name+": "+value)
		}
	}
	return strings.Join(found, "; ")
}

// btrfsErrors reads the counters of errors that are not 0.
func btrfsErrors(text []byte) string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 2 && f[1] != "0" {
			found = append(found, f[0]+": "+f[1])
		}
	}
	return strings.Join(found, "; ")
}
