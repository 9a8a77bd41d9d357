package medium

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"
)

// newTable is the GPT of parts.
func newTable(parts []Partition, id Identity) *gpt.Table {
	t := &gpt.Table{
		LogicalSectorSize: SectorSize, PhysicalSectorSize: SectorSize,
		ProtectiveMBR: true, GUID: guid(id, "disk"),
	}
	for _, p := range parts {
		t.Partitions = append(t.Partitions, entry(p, id))
	}
	return t
}

func entry(p Partition, id Identity) *gpt.Partition {
	return &gpt.Partition{
		Index: p.Number, Name: p.Label, Type: p.Type, GUID: guid(id, "partition/"+p.Label),
		Start: uint64(p.Start / SectorSize), End: uint64(p.End()/SectorSize) - 1, Size: uint64(p.Size),
	}
}

func guid(id Identity, thing string) string { return strings.ToUpper(id.UUID(thing).String()) }

// writeTable writes the backup, then the primary copy, each made durable
// before the next is touched: at every moment one of them is whole. It leaves
// the first sector's code alone.
func writeTable(f backend.WritableFile, t *gpt.Table, size int64) error {
	if err := t.Write(f, size); err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	// The protective entry counts in 32 bits; a larger drive's is all ones
	// (UEFI 5.2.3).
	if size/SectorSize-1 > 0xffffffff {
		if _, err := f.WriteAt([]byte{0xff, 0xff, 0xff, 0xff}, 446+12); err != nil {
			return fmt.Errorf("write the protective partition table: %w", err)
		}
	}
	return nil
}

// readTable reads the GPT of a file or disk.
func readTable(f backend.File) (*gpt.Table, error) {
	// What follows allocates as many entries as a header says there are.
	header := make([]byte, SectorSize)
	if _, err := f.ReadAt(header, SectorSize); err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	if n, size := binary.LittleEndian.Uint32(header[80:]), binary.LittleEndian.Uint32(header[84:]); string(header[:8]) == "EFI PART" &&
		(n > 1024 || size != gpt.PartitionEntrySize) {
		return nil, fmt.Errorf("read the partition table: %d entries of %d bytes are not what ESOS makes", n, size)
	}
	t, err := gpt.Read(f, SectorSize, SectorSize)
	if err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	return t, nil
}

// ReadLayout reads the partitions of a file or disk that holds a medium.
func ReadLayout(f backend.File) ([]Partition, error) {
	t, err := readTable(f)
	if err != nil {
		return nil, err
	}
	parts := partitions(t)
	for _, label := range []string{LabelGRUB, LabelBoot, LabelRoot, LabelConf, LabelLogs} {
		if _, ok := Labelled(parts, label); !ok {
			return nil, fmt.Errorf("this is no medium of ESOS: it has no partition %s", label)
		}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	for _, p := range parts {
		if p.Start < align || p.Size < SectorSize || p.End() > size {
			return nil, fmt.Errorf("read the partition table: partition %s ends at byte %d of %d: is the image cut short?", p.Label, p.End(), size)
		}
	}
	return parts, nil
}

func partitions(t *gpt.Table) []Partition {
	var parts []Partition
	for _, p := range t.Partitions {
		if p.Type == gpt.Unused || p.End < p.Start || p.End > 1<<53 {
			continue
		}
		parts = append(parts, Partition{
			Number: p.Index, Label: p.Name, Type: gpt.Type(strings.ToUpper(string(p.Type))),
			Start: int64(p.Start) * SectorSize, Size: int64(p.End-p.Start+1) * SectorSize,
		})
	}
	return parts
}

// primaryEnd is the first byte behind the primary copy: the protective MBR,
// the header, and 128 entries of 128 bytes.
const primaryEnd = 34 * SectorSize

// replaceTable replaces the table of a drive that is in use. Linux reads the
// backup only where the primary copy has no valid header at all and it is told
// to, so the primary copy changes by one write, when the backup is durable.
func replaceTable(f *os.File, t *gpt.Table, size int64) error {
	var w tableWrites
	if err := writeTable(&w, t, size); err != nil {
		return err
	}
	primary := make([]byte, primaryEnd)
	if _, err := f.ReadAt(primary, 0); err != nil {
		return fmt.Errorf("read the partition table: %w", err)
	}
	for _, p := range w.patches {
		if p.at < primaryEnd {
			copy(primary[p.at:], p.bytes)
			continue
		}
		if _, err := f.WriteAt(p.bytes, p.at); err != nil {
			return fmt.Errorf("write the backup of the partition table: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the backup of the partition table: %w", err)
	}
	if _, err := f.WriteAt(primary, 0); err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write the partition table: %w", err)
	}
	return nil
}

// tableWrites notes what a table writes.
type tableWrites struct {
	backend.File // only written to
	patches      []patch
}

func (w *tableWrites) WriteAt(b []byte, at int64) (int, error) {
	w.patches = append(w.patches, patch{at, bytes.Clone(b)})
	return len(b), nil
}
