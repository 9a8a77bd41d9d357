package storagefake

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host/block"
)

// Foreign puts somebody else's data on a disk: an ext4 file system.
func (m *Machine) Foreign(name, owner string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.find(name)
	d.Content, d.Owner = []block.Content{{Type: "ext4", Label: "foreign", UUID: "11111111-2222-4333-8444-555555555555"}}, owner
}

// State is what is on the machine: its devices, what is on each, where it is
// mounted, and the files that were saved. Equal states are equal texts.
func (m *Machine) State() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m.devs)) {
		d := m.devs[name]
		fmt.Fprintf(&b, "%s %s %d", d.Name, d.Type, d.Size)
		if len(d.Content) > 0 || len(d.Below) > 0 || len(d.Mounts) > 0 {
			fmt.Fprintf(&b, " holds %v, on %v, mounted at %v", d.Content, d.Below, d.Mounts)
		}
		b.WriteByte('\n')
	}
	for _, p := range slices.Sorted(maps.Keys(m.files)) {
		if !strings.HasPrefix(p, "/sys/") && !strings.HasPrefix(p, "/proc/") {
			fmt.Fprintf(&b, "file %s\n", p)
		}
	}
	return b.String()
}
