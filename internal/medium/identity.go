package medium

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
)

// Identity is what a medium's GUIDs, UUIDs and serial numbers are derived
// from: the same identity, the same medium. Media that are not copies of each
// other must not share one, since a machine with both would take a partition
// of the one for the other's.
type Identity string

// space is the name space of media's UUIDs (RFC 9562, 5.5).
var space = uuid.MustParse("5f1c7a0e-0d0b-5d5e-8f53-45534f534d44")

// NewIdentity is one that no other medium has.
func NewIdentity() (Identity, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make an identity for a medium: %w", err)
	}
	return Identity(hex.EncodeToString(b)), nil
}

// UUID is the identity of one thing on the medium.
func (i Identity) UUID(thing string) uuid.UUID {
	return uuid.NewSHA1(space, []byte(string(i)+"/"+thing))
}

// volume is the serial number of the FAT file system.
func (i Identity) volume() uint32 {
	u := i.UUID("fs/" + LabelBoot)
	return binary.BigEndian.Uint32(u[:4])
}

// BootUUID is the ESOS_BOOT file system's as GRUB, blkid and the kernel
// argument esos_medium= write it.
func (i Identity) BootUUID() string { return volumeText(i.volume()) }

func volumeText(v uint32) string { return fmt.Sprintf("%04X-%04X", v>>16, v&0xffff) }
