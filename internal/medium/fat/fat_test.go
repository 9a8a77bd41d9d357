package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// device has a FAT32 file system of 70000 clusters of one sector, at 1 MiB;
// clusters 2, 3 and 9 belong to something.
func device() []byte {
	const at, reserved, fats, fatSectors, clusters = 1 << 20, 32, 2, 547, 70000
	b := make([]byte, at+512*(reserved+fats*fatSectors+clusters))
	le := binary.LittleEndian
	boot := b[at:]
	le.PutUint16(boot[bytesPerSector:], 512)
	boot[sectorsPerCluster] = 1
	le.PutUint16(boot[reservedSectors:], reserved)
	boot[numberOfFATs] = fats
	le.PutUint32(boot[totalSectors:], reserved+fats*fatSectors+clusters)
	le.PutUint32(boot[sectorsPerFAT:], fatSectors)
	le.PutUint16(boot[backupBoot:], 6)
	le.PutUint32(boot[volumeID:], 0x1234abcd)
	copy(boot[fileSystemType:], "FAT32   ")
	le.PutUint16(boot[510:], 0xaa55)
	for _, n := range []int{0, 1, 2, 3, 9} {
		le.PutUint32(b[at+512*reserved+4*n:], 0x0fffffff)
	}
	// The upper four bits are reserved: this one is free.
	le.PutUint32(b[at+512*reserved+4*20:], 0xf0000000)
	return b
}

func TestUsed(t *testing.T) {
	b := device()
	f, err := Open(bytes.NewReader(b), 1<<20, int64(len(b))-1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Used()
	if err != nil {
		t.Fatal(err)
	}
	const data = 1<<20 + 512*(32+2*547)
	want := []Extent{{1 << 20, data - 1<<20 + 2*512}, {data + 7*512, 512}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("used are %v, want %v", got, want)
	}
}

func TestWithVolume(t *testing.T) {
	b := device()
	f, err := Open(bytes.NewReader(b), 1<<20, int64(len(b))-1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if f.Volume() != 0x1234abcd {
		t.Errorf("the serial number is %x", f.Volume())
	}
	patches := f.WithVolume(0xfeed0001)
	var at []int64
	for _, p := range patches {
		at = append(at, p.At)
		copy(b[p.At:], p.Bytes)
	}
	if fmt.Sprint(at) != fmt.Sprint([]int64{1<<20 + 67, 1<<20 + 6*512 + 67}) {
		t.Errorf("patches at %v", at)
	}
	if f, err = Open(bytes.NewReader(b), 1<<20, int64(len(b))-1<<20); err != nil || f.Volume() != 0xfeed0001 {
		t.Errorf("the serial number is %x, %v", f.Volume(), err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(device()[1<<20:1<<20+512], int64(36<<20))
	f.Fuzz(func(t *testing.T, boot []byte, size int64) {
		b := make([]byte, 1<<20)
		copy(b, boot)
		fs, err := Open(bytes.NewReader(b), 0, min(max(size, 0), 64<<20))
		if err != nil {
			return
		}
		_, _ = fs.Used()
		_ = fs.WithVolume(1)
	})
}
