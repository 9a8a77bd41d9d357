package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Complete fills what the administrator leaves to us: the array's ID, image
// paths, identities, relative target port identifiers and NVMe port numbers. What previous (the
// document in force, or nil) has for the same object stays, so that
// initiators go on knowing it; the rest comes from the document alone, and
// only an array's first ID from chance. Completing twice changes nothing.
func Complete(d, previous *Document) error {
	if previous == nil {
		previous = &Document{}
	}
	if d.Version == 0 {
		d.Version = Version
	}
	if d.ID == "" {
		d.ID = previous.ID
	}
	if d.ID == "" {
		d.ID = newID()
	}
	before := make(map[string]Device, len(previous.Devices))
	for _, dev := range previous.Devices {
		before[dev.Name] = dev
	}
	for i := range d.Devices {
		completeDevice(&d.Devices[i], before[d.Devices[i].Name], d.ID)
	}
	if err := completeNVMe(d, previous); err != nil {
		return err
	}
	if err := completeUsers(d, previous); err != nil {
		return err
	}
	return completeRelativeIDs(d, previous)
}

// newID makes a random UUID (RFC 9562 5.4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func completeDevice(d *Device, before Device, arrayID string) {
	if d.Handler.PassThrough() {
		return // it has a name and an identity of its own
	}
	keep := func(field *string, was, made string) {
		switch {
		case *field != "":
		case was != "":
			*field = was
		default:
			*field = made
		}
	}
	if d.Handler == FileIO {
		was := ""
		if before.Handler == FileIO {
			was = before.Path
		}
		keep(&d.Path, was, "devices/"+d.Name+".img")
	}
	sum := sha256.Sum256([]byte(arrayID + "/" + d.Name))
	seed := hex.EncodeToString(sum[:])
	made := seed[16:32]
	keep(&d.Identity.Serial, before.Identity.Serial, made)
	naa := "3" + seed[:15] // locally assigned (SPC-5 7.8.6.6.5)
	if d.Identity.Serial == made {
		// What LIO in the kernel makes of this serial (spc_gen_naa_6h_vendor_specific,
		// with its company's identifier): every engine can serve it, so that
		// disks stay who they are when the engine changes.
		naa = "6001405" + made + "000000000"
	}
	keep(&d.Identity.NAA, before.Identity.NAA, naa)
	keep(&d.Identity.T10ID, before.Identity.T10ID, seed[32:40]+"-"+d.Name)
	keep(&d.Identity.Vendor, before.Identity.Vendor, "")
	keep(&d.Identity.Product, before.Identity.Product, "")
	keep(&d.Identity.Revision, before.Identity.Revision, "")
}

// completeRelativeIDs gives every target one identifier for each portal group
// that it is reached by: the previous one, else the lowest that is free.
// Identifiers of tags that are gone stay, for when the portal comes back.
func completeRelativeIDs(d, previous *Document) error {
	taken := map[int]bool{}
	for _, g := range d.DeviceGroups {
		for _, tg := range g.TargetGroups {
			for _, t := range tg.Targets {
				taken[t.RelativeID] = true
			}
		}
	}
	for _, t := range d.Targets {
		for _, id := range t.RelativeIDs {
			taken[id] = true
		}
	}
	before := make(map[string]map[int]int, len(previous.Targets))
	for _, t := range previous.Targets {
		before[t.Name] = t.RelativeIDs
	}
	give := func(t *Target, tag, id int) {
		if t.RelativeIDs == nil {
			t.RelativeIDs = map[int]int{}
		}
		t.RelativeIDs[tag] = id
		taken[id] = true
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		for _, tag := range slices.Sorted(maps.Keys(before[t.Name])) {
			if id := before[t.Name][tag]; t.RelativeIDs[tag] == 0 && !taken[id] {
				give(t, tag, id)
			}
		}
	}
	next := 1
	for i := range d.Targets {
		t := &d.Targets[i]
		for _, tag := range d.Tags(*t) {
			if t.RelativeIDs[tag] != 0 {
				continue
			}
			for taken[next] {
				next++
			}
			if next > 65535 {
				return errors.New("complete relative target port identifiers: all 65535 are taken")
			}
			give(t, tag, next)
		}
	}
	return nil
}
