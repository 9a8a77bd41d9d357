package medium

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
)

func TestBuild(t *testing.T) {
	p := smallPlan(t)
	p.Seed = t.TempDir()
	write(t, filepath.Join(p.Seed, "etc/esos/esos.yaml"), []byte("name: first\n"))
	file := build(t, p)
	checkMedium(t, p.Tools, file)
	if err := medium.Verify(t.Context(), p, file); err != nil {
		t.Error(err)
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if st.Size() != p.Sizes.Total() {
		t.Errorf("the file has %d bytes, want %d", st.Size(), p.Sizes.Total())
	}
	// What others' tools find in it.
	conf, _ := medium.Labelled(layout(t, file), medium.LabelConf)
	part := filepath.Join(t.TempDir(), "conf")
	extract(t, file, part, conf)
	if got := output(t, p.Tools, "debugfs", "-R", "cat /seed/etc/esos/esos.yaml", part); !bytes.Contains(got, []byte("name: first\n")) {
		t.Errorf("the seed's document is %q", got)
	}
	if got := output(t, p.Tools, "debugfs", "-R", "stat /seed/etc/esos/esos.yaml", part); !bytes.Contains(got, []byte("User:     0   Group:     0")) {
		t.Errorf("the seed's document is not root's: %s", got)
	}
	if got := output(t, p.Tools, "sfdisk", "--dump", file); !bytes.Contains(got, []byte(`name="esos_logs"`)) {
		t.Errorf("sfdisk: %s", got)
	}

	// A slot damaged leaves the other: they share no block.
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, err := os.ReadFile(filepath.Join(p.Slot, "root.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(all, want[1<<20:1<<20+4096])
	if at < 0 {
		t.Fatal("the root's bytes are not in the image")
	}
	if _, err := f.WriteAt([]byte("damaged"), int64(at)); err != nil {
		t.Fatal(err)
	}
	c, err := medium.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, slot := range grub.Slots() {
		r, err := c.Slot(slot, "root.squashfs")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			damaged++
		}
	}
	if damaged != 1 {
		t.Errorf("%d slots are damaged, want one", damaged)
	}
	if err := medium.Verify(t.Context(), p, file); err == nil || !strings.Contains(err.Error(), "root.squashfs") {
		t.Errorf("verify a damaged medium: %v", err)
	}
}

// TestBuildTwice: the same plan gives the same bytes, at another time, in
// another place; another identity gives others.
func TestBuildTwice(t *testing.T) {
	p := smallPlan(t)
	first := digest(t, build(t, p))
	time.Sleep(2100 * time.Millisecond) // FAT counts in two seconds
	t.Setenv("TZ", "Asia/Tokyo")
	again := p
	again.Slot = fakeSlot(t)
	again.GRUB = grubImages(t, tools(t))
	if second := digest(t, build(t, again)); first != second {
		t.Errorf("two builds differ: %s, %s", first, second)
	}
	again.Identity = "another"
	if third := digest(t, build(t, again)); first == third {
		t.Error("another identity gives the same bytes")
	}
}

func TestBuildRefuses(t *testing.T) {
	p := smallPlan(t)
	for name, test := range map[string]struct {
		change func(*medium.Plan)
		want   string
	}{
		"too small for the slots": {func(p *medium.Plan) { p.Sizes.Root = 64 << 20 }, "make it larger"},
		"odd size":                {func(p *medium.Plan) { p.Sizes.Conf++ }, "multiple of 1 MiB"},
		"half a debug kernel":     {func(p *medium.Plan) { write(t, filepath.Join(p.Slot, "vmlinuz-debug"), []byte("x")) }, "but not the other"},
		"arguments for a shell":   {func(p *medium.Plan) { p.Arguments = "quiet; reboot" }, "cannot be in GRUB's configuration"},
		"no kernel": {func(p *medium.Plan) {
			if err := os.Remove(filepath.Join(p.Slot, "vmlinuz")); err != nil {
				t.Fatal(err)
			}
		}, "vmlinuz"},
	} {
		t.Run(name, func(t *testing.T) {
			p := p
			p.Slot = fakeSlot(t)
			test.change(&p)
			file := filepath.Join(t.TempDir(), "esos.img")
			err := medium.Build(t.Context(), p, file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if left, _ := filepath.Glob(file + "*"); len(left) > 0 {
				t.Errorf("a failed build left %v", left)
			}
		})
	}
}
