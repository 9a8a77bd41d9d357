// Package fat looks into a FAT32 file system without mounting it: which bytes
// of the device matter, and what to change for another serial number.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Offsets in the boot sector (Microsoft, FAT specification, 3.1 and 3.3).
const (
	bootSector = 512

	bytesPerSector    = 11
	sectorsPerCluster = 13
	reservedSectors   = 14
	numberOfFATs      = 16
	totalSectors      = 32
	sectorsPerFAT     = 36
	backupBoot        = 50
	volumeID          = 67
	fileSystemType    = 82
)

// FS is a file system within a larger file or device.
type FS struct {
	r       io.ReaderAt
	at      int64
	boot    []byte
	cluster int64 // bytes
	fat     int64 // bytes from the start
	fatSize int64 // bytes of one
	data    int64 // bytes from the start
	count   int64 // clusters
}

// Open reads the boot sector of the FAT32 file system that begins at byte at
// of r and is not larger than size.
func Open(r io.ReaderAt, at, size int64) (*FS, error) {
	f := &FS{r: r, at: at, boot: make([]byte, bootSector)}
	if _, err := r.ReadAt(f.boot, at); err != nil {
		return nil, fmt.Errorf("read the boot sector: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint16(f.boot[510:]) != 0xaa55 || string(f.boot[fileSystemType:fileSystemType+8]) != "FAT32   " {
		return nil, errors.New("no FAT32 file system here")
	}
	sector := int64(le.Uint16(f.boot[bytesPerSector:]))
	f.cluster = sector * int64(f.boot[sectorsPerCluster])
	f.fat = sector * int64(le.Uint16(f.boot[reservedSectors:]))
	f.fatSize = sector * int64(le.Uint32(f.boot[sectorsPerFAT:]))
	f.data = f.fat + int64(f.boot[numberOfFATs])*f.fatSize
	total := sector * int64(le.Uint32(f.boot[totalSectors:]))
	if sector < 512 || f.cluster <= 0 || f.fat <= 0 || f.fatSize <= 0 || f.data >= total || total > size {
		return nil, fmt.Errorf("the boot sector is damaged: %d bytes in %d", total, size)
	}
	f.count = (total - f.data) / f.cluster
	if (f.count+2)*4 > f.fatSize {
		return nil, fmt.Errorf("the boot sector is damaged: %d clusters in a table of %d bytes", f.count, f.fatSize)
	}
	return f, nil
}

// Extent is a run of bytes of the device.
type Extent struct{ At, Size int64 }

// Used returns the bytes that matter, in order: everything before the first
// cluster, and the clusters that belong to something.
func (f *FS) Used() ([]Extent, error) {
	table := make([]byte, (f.count+2)*4)
	if _, err := f.r.ReadAt(table, f.at+f.fat); err != nil {
		return nil, fmt.Errorf("read the allocation table: %w", err)
	}
	runs := []Extent{{f.at, f.data}}
	for i := range f.count {
		if binary.LittleEndian.Uint32(table[(i+2)*4:])&0x0fffffff == 0 {
			continue
		}
		at := f.at + f.data + i*f.cluster
		if last := &runs[len(runs)-1]; last.At+last.Size == at {
			last.Size += f.cluster
		} else {
			runs = append(runs, Extent{at, f.cluster})
		}
	}
	return runs, nil
}

// Volume is the serial number.
func (f *FS) Volume() uint32 { return binary.LittleEndian.Uint32(f.boot[volumeID:]) }

// Patch is bytes to write at a place of the device.
type Patch struct {
	At    int64
	Bytes []byte
}

// WithVolume returns what to write for the file system to have another serial
// number, in the boot sector and its copy.
func (f *FS) WithVolume(v uint32) []Patch {
	b := binary.LittleEndian.AppendUint32(nil, v)
	patches := []Patch{{f.at + volumeID, b}}
	if n := int64(binary.LittleEndian.Uint16(f.boot[backupBoot:])); n != 0 && n != 0xffff {
		sector := int64(binary.LittleEndian.Uint16(f.boot[bytesPerSector:]))
		patches = append(patches, Patch{f.at + n*sector + volumeID, b})
	}
	return patches
}
