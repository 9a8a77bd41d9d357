package block

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Content is something that was found on a device.
type Content struct {
	Type  string `json:"type"` // blkid's word: xfs, linux_raid_member, LVM2_member, gpt; "unknown" for bytes that are none of these
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"`
}

// Unknown is the type of data that has no signature.
const Unknown = "unknown"

// Prober finds out what is on a device (host.Linux).
type Prober interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
	Blank(path string) (bool, error)
}

// patience is how long a device may take to be looked at.
const patience = 30 * time.Second

// Contents reads what is on a device, from the device itself. Nothing means
// that it is blank, as far as its first and last MiB tell. The error wraps
// host.ErrInUse if something has the device for itself.
func Contents(ctx context.Context, m Prober, path string) ([]Content, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	blank, err := m.Blank(path) // the first: it finds out whether the device is in use
	if err != nil {
		return nil, err
	}
	out, err := m.Output(ctx, host.Call{Name: "wipefs", Args: []string{"--json", "--no-act", path}})
	if err != nil {
		return nil, fmt.Errorf("look what is on %s: %w", path, err)
	}
	found, err := parseContents(out)
	if err != nil {
		return nil, fmt.Errorf("look what is on %s: %w", path, err)
	}
	if len(found) == 0 && !blank {
		return []Content{{Type: Unknown}}, nil
	}
	return found, nil
}

// parseContents reads wipefs's JSON, which is nothing at all for a device
// without signatures in old versions. GPT has two, of which one is told.
func parseContents(text []byte) ([]Content, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var list struct {
		Signatures []struct {
			Type  string `json:"type"`
			Label string `json:"label"`
			UUID  string `json:"uuid"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("wipefs's answer: %w", err)
	}
	var found []Content
	seen := map[Content]bool{}
	gpt := false
	for _, s := range list.Signatures {
		gpt = gpt || s.Type == "gpt"
	}
	for _, s := range list.Signatures {
		c := Content{s.Type, printable(s.Label), s.UUID}
		if gpt && s.Type == "PMBR" { // it goes with it
			continue
		}
		if !seen[c] {
			seen[c] = true
			found = append(found, c)
		}
	}
	return found, nil
}

// String says what it is, for people.
func (c Content) String() string {
	what, ok := map[string]string{
		Unknown: "data of an unknown kind", "linux_raid_member": "a member of a RAID array", "LVM2_member": "an LVM physical volume",
		"crypto_LUKS": "encrypted data (LUKS)", "gpt": "a partition table (GPT)", "dos": "a partition table (MBR)", "PMBR": "what is left of a partition table (GPT)", "swap": "swap space",
		"bcache": "a bcache device", "isw_raid_member": "a member of an Intel RAID array", "ddf_raid_member": "a member of a RAID array (DDF)",
		"zfs_member": "a member of a ZFS pool", "drbd": "a DRBD replica", "ext4": "an ext4 file system", "xfs": "an xfs file system", "btrfs": "a btrfs file system",
	}[c.Type]
	if !ok {
		what = c.Type
	}
	if c.Label != "" {
		what += fmt.Sprintf(" %q", c.Label)
	}
	return what
}
