package medium

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/slot"
)

// TestCopyOntoUsedDrive writes only what matters onto a drive full of
// something else. Whatever a checker or a boot looks at must then be right.
func TestCopyOntoUsedDrive(t *testing.T) {
	p := smallPlan(t)
	image, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	// Larger, and of no round size.
	size := p.Sizes.Total() + 37<<20 + 3*medium.SectorSize
	drive := filepath.Join(t.TempDir(), "drive")
	f, err := os.Create(drive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	garbage := bytes.Repeat([]byte("\xa5\x5a\xff\x01EFI PART"), 1<<20/12+1)[:1<<20]
	for at := int64(0); at < size; at += int64(len(garbage)) {
		if _, err := f.WriteAt(garbage[:min(int64(len(garbage)), size-at)], at); err != nil {
			t.Fatal(err)
		}
	}
	c, err := medium.NewCopy(image, "another", size)
	if err != nil {
		t.Fatal(err)
	}
	var written int64
	for _, e := range c.Extents() {
		b := make([]byte, e.Size)
		if _, err := c.ReadAt(b, e.At); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b, e.At); err != nil {
			t.Fatal(err)
		}
		written += e.Size
	}
	if written >= p.Sizes.Total()/2 {
		t.Errorf("%d of the image's %d bytes are written: what is free should not be", written, p.Sizes.Total())
	}
	checkMedium(t, p.Tools, drive)
	if err := medium.Verify(t.Context(), p, drive); err != nil {
		t.Error(err)
	}
	before, err := medium.IdentityOf(image)
	if err != nil {
		t.Fatal(err)
	}
	after, err := medium.IdentityOf(f)
	if err != nil {
		t.Fatal(err)
	}
	for what, id := range before {
		if after[what] == id || after[what] == "" {
			t.Errorf("the copy's %s is %q, the image's %q", what, after[what], id)
		}
	}
	if want := medium.Identity("another").UUID("fs/esos_root").String(); after["esos_root"] != want {
		t.Errorf("the copy's esos_root is %s, want %s", after["esos_root"], want)
	}
	// What blkid and the kernel see.
	for _, part := range layout(t, drive) {
		if part.Label == medium.LabelGRUB {
			continue
		}
		out := output(t, p.Tools, "blkid", "-p", "-O", itoa(part.Start), "-S", itoa(part.Size), drive)
		for _, want := range []string{`LABEL="` + part.Label + `"`, `UUID="` + after[part.Label] + `"`} {
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("blkid of %s: %s, want %s", part.Label, out, want)
			}
		}
	}
}

func TestExactCopy(t *testing.T) {
	p := smallPlan(t)
	file := build(t, p)
	image, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	c, err := medium.NewCopy(image, "", p.Sizes.Total())
	if err != nil {
		t.Fatal(err)
	}
	target := stick.Target{Path: filepath.Join(t.TempDir(), "copy"), Size: p.Sizes.Total()}
	if err := stick.Write(t.Context(), c, target, func(string, int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	if digest(t, file) != digest(t, target.Path) {
		t.Error("an exact copy differs from its image")
	}
	if _, err := medium.NewCopy(image, "", p.Sizes.Total()-2<<20); err == nil || !strings.Contains(err.Error(), "larger drive") {
		t.Errorf("a drive that is too small: %v", err)
	}
}

func TestCheckImage(t *testing.T) {
	p := smallPlan(t)
	key, err := slot.GenerateKey("test")
	if err != nil {
		t.Fatal(err)
	}
	sign(t, p.Slot, key)
	f, err := os.OpenFile(build(t, p), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	quiet := func(string, int64, int64) {}
	m, err := stick.Check(t.Context(), f, []slot.PublicKey{key.Public()}, quiet)
	if err != nil || m.Version != "1.2.3" {
		t.Errorf("a good image: version %q, %v", m.Version, err)
	}
	other, err := slot.GenerateKey("other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stick.Check(t.Context(), f, []slot.PublicKey{other.Public()}, quiet); !errors.Is(err, slot.ErrSignature) {
		t.Errorf("signed by somebody else: %v", err)
	}
	// A byte of a kernel.
	want, err := os.ReadFile(filepath.Join(p.Slot, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{^want[5]}, int64(bytes.LastIndex(all, want[:4096])+5)); err != nil {
		t.Fatal(err)
	}
	if _, err := stick.Check(t.Context(), f, []slot.PublicKey{key.Public()}, quiet); err == nil || !strings.Contains(err.Error(), "vmlinuz") {
		t.Errorf("a damaged kernel: %v", err)
	}
}

// sign makes the manifest of a slot and signs it.
func sign(t testing.TB, dir string, key slot.PrivateKey) {
	t.Helper()
	m := slot.Manifest{Version: "1.2.3", Kernel: "6.12", Built: builtAt.Unix()}
	for _, name := range []string{"root.squashfs", "vmlinuz", "initrd.img"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		part, err := slot.Describe(f, name)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, part)
	}
	text, sig, err := m.Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "manifest.json"), text)
	write(t, filepath.Join(dir, "manifest.sig"), sig)
}

// TestContents: what is recognised on a drive, by what real tools make.
func TestContents(t *testing.T) {
	p := smallPlan(t)
	file := build(t, p)
	for name, test := range map[string]struct {
		make   func(path string)
		want   []string
		member bool
	}{
		"blank":       {func(string) {}, nil, false},
		"ext4":        {func(path string) { output(t, p.Tools, "mke2fs", "-q", "-F", path) }, []string{"the disk holds an ext file system"}, false},
		"FAT":         {func(path string) { output(t, p.Tools, "mkfs.vfat", "-F", "32", path) }, []string{"the disk holds a FAT file system"}, false},
		"one byte":    {func(path string) { poke(t, path, 1000, "x") }, []string{"the disk holds data of an unknown kind"}, false},
		"at the end":  {func(path string) { poke(t, path, 64<<20-1, "x") }, []string{"the disk holds data of an unknown kind"}, false},
		"LVM":         {func(path string) { poke(t, path, 512, "LABELONE") }, []string{"the disk holds an LVM physical volume"}, true},
		"md at start": {func(path string) { poke(t, path, 4096, "\xfc\x4e\x2b\xa9") }, []string{"the disk holds a member of a RAID array (md)"}, true},
		"md 1.0":      {func(path string) { poke(t, path, 64<<20-8192, "\xfc\x4e\x2b\xa9") }, []string{"the disk holds a member of a RAID array (md)"}, true},
		"md 0.90":     {func(path string) { poke(t, path, 64<<20-65536, "\xfc\x4e\x2b\xa9") }, []string{"the disk holds a member of a RAID array (md)"}, true},
		"a medium": {func(path string) {
			if err := os.Rename(file, path); err != nil {
				t.Fatal(err)
			}
		}, []string{
			"the disk holds a GPT with 5 partitions", "partition 2 holds a FAT file system", "partition 3 holds an ext file system",
			"partition 4 holds an ext file system", "partition 5 holds an ext file system",
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			write(t, path, nil)
			if err := os.Truncate(path, 64<<20); err != nil {
				t.Fatal(err)
			}
			test.make(path)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			found, err := disk.Contents(f, st.Size())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			member := false
			for _, c := range found {
				got = append(got, c.String())
				member = member || c.Member
			}
			if strings.Join(got, "\n") != strings.Join(test.want, "\n") || member != test.member {
				t.Errorf("found %q (member: %v), want %q", got, member, test.want)
			}
		})
	}
}

func poke(t testing.TB, path string, at int64, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
