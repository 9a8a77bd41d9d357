// Package persist keeps what an appliance has beside its image: the settings
// that differ from the image, saved as numbered generations on the medium and
// brought back at boot. The system runs from memory, so this is all of it that
// outlives a reboot. It is linked into the first process of the boot: it
// imports little, and runs no program.
//
// A generation is two files below DIR/generations, DIR being a mounted
// esos_conf: NNNNNNNN.tar.zst with what the overlay's upper directory holds
// below Roots, and NNNNNNNN.json that says what it is and carries the digests.
// DIR/current names the one that is in force; its rename is what puts a new
// one there. Nothing is believed because of its name: a generation counts if
// its bytes have the digest of its record.
package persist

import (
	"fmt"
	"time"
)

// OverlayOptions are the mount options that the root's overlay must have. With
// them the upper directory holds every change whole, so that its files can be
// saved by themselves: no file that is only its metadata (metacopy), no
// directory that points elsewhere (redirect_dir), no handle of an image that
// the next boot may not have (index).
const OverlayOptions = "metacopy=off,redirect_dir=off,index=off"

// Generation is one saved state of the settings.
type Generation struct {
	Number  int       `json:"number"`
	When    time.Time `json:"when"`
	Reason  string    `json:"reason"`            // why it was saved
	Slot    string    `json:"slot,omitempty"`    // that ran then
	Version string    `json:"version,omitempty"` // of the image that ran then
	Host    string    `json:"host,omitempty"`
	Machine string    `json:"machine,omitempty"` // whose settings they are; says nothing else about it
	Factory bool      `json:"factory,omitempty"` // no settings but those that the medium was made with

	Files   int   `json:"files"`   // entries, directories and deletions included
	Size    int64 `json:"size"`    // bytes of the archive, unpacked
	Archive int64 `json:"archive"` // bytes of the archive

	SHA256   string `json:"sha256"`   // of the archive's bytes
	Contents string `json:"contents"` // SHA-256 of the unpacked archive
	Settings string `json:"settings"` // the same without what changes by itself
}

// Skipped is something that was not brought back, and why.
type Skipped struct {
	Name string `json:"name"` // generation 12, seed/etc/fstab
	Why  string `json:"why"`

	generation int // 0 if it is none
}

func skipped(generation int, why string) Skipped {
	return Skipped{Name: nameOf(generation), Why: why, generation: generation}
}

// String is a sentence.
func (s Skipped) String() string { return fmt.Sprintf("%s: %s", s.Name, s.Why) }

// Where restored settings came from.
const (
	FromNothing    = "" // a first boot: there was nothing
	FromGeneration = "generation"
	FromSeed       = "seed"
)

// Restored is what Restore did.
type Restored struct {
	From       string      `json:"from,omitempty"`
	Generation *Generation `json:"generation,omitempty"` // that was in force
	Files      int         `json:"files,omitempty"`      // entries brought back
	Skipped    []Skipped   `json:"skipped,omitempty"`    // what was damaged or refused
}
