package power

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/power/writelog"
)

// TestHarness boots a medium that nothing happened to, and one that lost what
// a power cut must not take: what the other tests rely on can fail.
func TestHarness(t *testing.T) {
	level.Require(t, level.Smoke)
	file := shared.Medium(t)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parts, err := medium.ReadLayout(f)
	if err != nil {
		t.Fatal(err)
	}
	boot, _ := medium.Labelled(parts, medium.LabelBoot)
	root, _ := medium.Labelled(parts, medium.LabelRoot)
	images := squashfs(t, f, root)
	if len(images) != 2 {
		t.Fatalf("%d systems are on the medium", len(images))
	}
	log := writes(t, write{}, write{uint64(boot.End()/writelog.SectorSize) - 1, "x"}, // nothing is there
		write{uint64(images[0]/writelog.SectorSize) + 100, "x"}, write{uint64(images[1]/writelog.SectorSize) + 100, "x"})
	r := newReplayer(t, log, 1)

	menu, a, err := r.boot(t.Context(), Cut{N: 2}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSlots(menu, a); err != nil {
		t.Error(err)
	}
	if a.Report.Slot != slot.Primary || len(a.Slots) != 2 || a.Slots[slot.Secondary].Err != "" || menu.Check(slot.Secondary, a.Slots[slot.Secondary].Manifest) != nil {
		t.Errorf("a whole medium: %+v", a)
	}
	other := a.Slots[slot.Primary].Manifest
	other.Parts = append([]slot.Part{}, other.Parts...)
	for i := range other.Parts {
		other.Parts[i].SHA256 = strings.Repeat("0", 64)
	}
	if menu.Check(slot.Primary, other) == nil {
		t.Error("a kernel of another version counts as that of the slot")
	}
	// One of both slots is damaged.
	menu, a, err = r.boot(t.Context(), Cut{N: 3}, true)
	damaged := 0
	for _, s := range a.Slots {
		if s.Err != "" {
			damaged++
		}
	}
	if damaged != 1 || (a.Slots[slot.Primary].Err != "") != (err != nil && checkSlots(menu, a) != nil) {
		t.Errorf("%d slots are damaged, and the boot ends with %v", damaged, err)
	}
	// Both are.
	if _, a, err = r.boot(t.Context(), Cut{N: 4}, true); err == nil || !strings.Contains(a.Stopped, "no slot") {
		t.Errorf("a medium without a whole slot boots: %+v, %v", a, err)
	}
}

// squashfs finds where squashfs images begin in a partition.
func squashfs(t *testing.T, f *os.File, p medium.Partition) (at []int64) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for off := p.Start; off < p.End(); off += int64(len(buf)) {
		if _, err := f.ReadAt(buf, off); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(buf); i += 4096 {
			if bytes.HasPrefix(buf[i:], []byte("hsqs")) {
				at = append(at, off+int64(i))
			}
		}
	}
	return at
}

// TestFirstFAT: copies of the table become what the first one is.
func TestFirstFAT(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/fat")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const start = 512
	image := make([]byte, start+8*512)
	fs := image[start:]
	fs[12], fs[14], fs[16], fs[36] = 2, 2, 2, 3 // 512 bytes a sector, 2 reserved, 2 copies of 3
	copy(fs[2*512:], bytes.Repeat([]byte("1"), 3*512))
	copy(fs[5*512:], bytes.Repeat([]byte("2"), 3*512))
	if _, err := file.Write(image); err != nil {
		t.Fatal(err)
	}
	if err := firstFAT(file, start); err != nil {
		t.Fatal(err)
	}
	copy(fs[5*512:], fs[2*512:5*512])
	got, err := os.ReadFile(file.Name())
	if err != nil || !bytes.Equal(got, image) {
		t.Errorf("the image is another one: %v", err)
	}
	if err := firstFAT(file, 0); err == nil {
		t.Error("what is no FAT was taken for one")
	}
}
