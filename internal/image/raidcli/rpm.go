package raidcli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// rpmMagic is what an rpm's lead begins with.
const rpmMagic = "\xed\xab\xee\xdb"

const (
	rpmLead = 96
	// What rpm itself allows in a header (RPM 4.14 and later).
	rpmMaxIndex = 0xffff
	rpmMaxStore = 256 << 20
)

// skipToPayload reads an rpm up to its payload, a compressed cpio archive: a
// lead, a header of signatures padded to eight bytes, and the header proper.
// What the headers say does not matter here; the payload tells by its own
// first bytes how it is compressed.
func skipToPayload(r io.Reader) error {
	lead := make([]byte, rpmLead)
	if _, err := io.ReadFull(r, lead); err != nil || string(lead[:4]) != rpmMagic {
		return errors.New("not an rpm")
	}
	size, err := skipHeader(r)
	if err != nil {
		return fmt.Errorf("the rpm's signatures: %w", err)
	}
	if err := discard(r, -size&7); err != nil {
		return fmt.Errorf("the rpm is cut off: %w", err)
	}
	if _, err := skipHeader(r); err != nil {
		return fmt.Errorf("the rpm's header: %w", err)
	}
	return nil
}

// skipHeader reads one header structure and returns its size.
func skipHeader(r io.Reader) (int64, error) {
	var h [16]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, fmt.Errorf("cut off: %w", err)
	}
	if string(h[:3]) != "\x8e\xad\xe8" {
		return 0, errors.New("damaged: it does not begin as it must")
	}
	entries, store := int64(binary.BigEndian.Uint32(h[8:])), int64(binary.BigEndian.Uint32(h[12:]))
	if entries > rpmMaxIndex || store > rpmMaxStore {
		return 0, fmt.Errorf("damaged: %d entries and %d bytes are more than rpm allows", entries, store)
	}
	size := 16*entries + store
	m, err := io.CopyN(io.Discard, r, size)
	if err != nil {
		return 0, fmt.Errorf("cut off after %d of %d bytes: %w", m, size, err)
	}
	return int64(len(h)) + size, nil
}
