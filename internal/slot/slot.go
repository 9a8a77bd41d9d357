// Package slot is about the two copies of the system on a medium: their names,
// the signed manifest that says what belongs into one, and reading their files
// with every byte checked on the way.
//
// A slot is believed only as far as its manifest is signed: Open takes nothing
// from a manifest before one of the trusted keys vouches for its bytes, and
// what a part's Copy passes on has a digest that the manifest names.
package slot

import "fmt"

// Name names a slot; it is the slot's directory on the medium, too.
type Name string

// The two slots.
const (
	Primary   Name = "PRIMARY"
	Secondary Name = "SECONDARY"
)

// Files of a slot. The kernel and its initramfs lie where GRUB reads them, the
// others on esos_root.
const (
	ManifestFile  = "manifest.json"
	SignatureFile = "manifest.sig"
	RootFile      = "root.squashfs"
	KernelFile    = "vmlinuz"
	InitrdFile    = "initrd.img"
)

// ParseName reads a slot's name as people and kernel command lines write it.
func ParseName(s string) (Name, error) {
	switch n := Name(s); n {
	case Primary, Secondary:
		return n, nil
	}
	return "", fmt.Errorf("no slot is named %q: want %s or %s", s, Primary, Secondary)
}

// Other is the slot that n is not.
func (n Name) Other() Name {
	if n == Primary {
		return Secondary
	}
	return Primary
}
