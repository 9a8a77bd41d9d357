package storagefake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Picture is the machine in words: two of the same words are in the same state.
// Directories are left out; empty ones are nobody's loss.
func (m *Machine) Picture() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, n := range m.order {
		d := m.devs[n]
		if d.Type == "crypt" { // the kernel's number says nothing
			n = m.row(d, false).Path
		}
		fmt.Fprintf(&b, "%s %d on %v of %q: %v", n, d.Size, d.Below, d.Owner, d.Content)
		if fs, ok := d.Super[fileSystemKey].(*fileSystem); ok {
			fmt.Fprintf(&b, " spans %d", fs.span)
			if len(d.Mounts) > 0 {
				fmt.Fprintf(&b, ", at %v with %s", d.Mounts, fs.options)
			}
			for _, name := range slices.Sorted(maps.Keys(fs.files)) {
				fmt.Fprintf(&b, ", file %s of %d", name, fs.files[name])
			}
		}
		if h, ok := d.Super[luksKey].(*luksHeader); ok {
			fmt.Fprintf(&b, ", %d keys, TPM %v, open as %q", len(h.keys), h.tpm, h.name)
		}
		b.WriteByte('\n')
	}
	for _, p := range slices.Sorted(maps.Keys(m.modes)) {
		if text, there := m.files[p]; there {
			fmt.Fprintf(&b, "file %s of %d bytes\n", p, len(text))
		}
	}
	return b.String()
}
