package medium

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// bootLimit is for one boot to the first process, translated, on a busy
// machine.
const bootLimit = 4 * time.Minute

// hello is a first process that says what it was started with, and ends.
const hello = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo "HELLO from %s: $(/bin/busybox cat /proc/cmdline) END"
/bin/busybox poweroff -f
`

// helloPlan is a medium whose slot is a kernel and a first process that says
// hello.
func helloPlan(t testing.TB, who string) medium.Plan {
	t.Helper()
	p := smallPlan(t)
	kernel, err := os.ReadFile(p.Tools.(toolsRoot).Path("../out/slot/vmlinuz"))
	if err != nil {
		t.Fatalf("there is no kernel: run make image: %v", err)
	}
	busybox, err := os.ReadFile(p.Tools.(toolsRoot).Path("usr/bin/busybox"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.Slot, "vmlinuz"), kernel)
	write(t, filepath.Join(p.Slot, "initrd.img"), cpio(
		entry{"bin", 0o40755, nil}, entry{"proc", 0o40755, nil}, entry{"dev", 0o40755, nil},
		entry{"bin/busybox", 0o100755, busybox}, entry{"init", 0o100755, fmt.Appendf(nil, hello, who)},
	))
	p.ProductionArguments = "quiet"
	p.Identity = medium.Identity(who)
	return p
}

// entry is one of an initramfs.
type entry struct {
	name string
	mode int
	data []byte
}

// cpio makes an archive that the kernel takes ("newc").
func cpio(entries ...entry) []byte {
	var b bytes.Buffer
	for i, e := range append(entries, entry{name: "TRAILER!!!"}) {
		fmt.Fprintf(&b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			i+1, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0, e.name)
		b.Write(make([]byte, -b.Len()&3))
		b.Write(e.data)
		b.Write(make([]byte, -b.Len()&3))
	}
	return b.Bytes()
}

// bootTo starts a machine and returns what its first process was started with.
// keys are typed at GRUB's menu.
func bootTo(t *testing.T, c vm.Config, keys string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
	defer cancel()
	c.Dir = level.ShortDir(t)
	m, err := vm.Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	if keys != "" {
		if err := m.WaitFor(ctx, "automatically in"); err != nil {
			t.Fatal(err)
		}
		if err := m.Type(keys); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.WaitFor(ctx, " END"); err != nil {
		t.Fatal(err)
	}
	_, said, _ := strings.Cut(m.Console().String(), "HELLO from ")
	said, _, _ = strings.Cut(said, " END")
	return said
}

// rootUUID is that of the medium's esos_root.
func rootUUID(p medium.Plan) string { return p.Identity.UUID("fs/" + medium.LabelRoot).String() }

func TestBootFromEveryBus(t *testing.T) {
	level.Require(t, level.Full)
	p := helloPlan(t, "one")
	file := build(t, p)
	for _, uefi := range []bool{false, true} {
		for _, bus := range vm.Buses() {
			t.Run(fmt.Sprintf("%s uefi=%v", bus, uefi), func(t *testing.T) {
				said := bootTo(t, vm.Config{Machine: "q35", UEFI: uefi, Memory: 512, Drives: []vm.Drive{{File: file, Bus: bus, Snapshot: true}}}, "")
				for _, want := range []string{"slot=PRIMARY", "esos_medium=" + rootUUID(p), "console=ttyS0,115200", "quiet"} {
					if !strings.Contains(said, want) {
						t.Errorf("the kernel was given %q, not %s", said, want)
					}
				}
			})
		}
	}
}

// TestMenu boots what is not the default.
func TestMenu(t *testing.T) {
	level.Require(t, level.Full)
	const down, enter = "\x1b[B", "\r"
	p := helloPlan(t, "menu")
	file := build(t, p)
	drive := []vm.Drive{{File: file, Snapshot: true}}
	t.Run("the debug entry", func(t *testing.T) {
		said := bootTo(t, vm.Config{Memory: 512, Drives: drive}, down+enter)
		if !strings.Contains(said, "slot=PRIMARY") || !strings.Contains(said, "slub_debug=FZPU") || strings.Contains(said, "quiet") {
			t.Errorf("the kernel was given %q", said)
		}
	})
	t.Run("the other slot, by UEFI", func(t *testing.T) {
		said := bootTo(t, vm.Config{Memory: 512, UEFI: true, Machine: "q35", Drives: drive}, down+down+enter)
		if !strings.Contains(said, "slot=SECONDARY") || !strings.Contains(said, "quiet") {
			t.Errorf("the kernel was given %q", said)
		}
	})
	boots, _ := medium.Labelled(p.Sizes.Layout(), medium.LabelBoot)
	image := fmt.Sprintf("%s@@%d", file, boots.Start)
	t.Run("a slot whose initramfs is missing", func(t *testing.T) {
		output(t, p.Tools, "mdel", "-i", image, "::/PRIMARY/initrd.img")
		said := bootTo(t, vm.Config{Memory: 512, Drives: drive}, "")
		if !strings.Contains(said, "slot=SECONDARY") {
			t.Errorf("the kernel was given %q", said)
		}
	})
	t.Run("a kernel that cannot be loaded", func(t *testing.T) {
		output(t, p.Tools, "mcopy", "-i", image, filepath.Join(p.Slot, "initrd.img"), "::/PRIMARY/initrd.img")
		broken := filepath.Join(t.TempDir(), "vmlinuz")
		write(t, broken, bytes.Repeat([]byte("no kernel"), 1000))
		output(t, p.Tools, "mcopy", "-o", "-i", image, broken, "::/PRIMARY/vmlinuz")
		said := bootTo(t, vm.Config{Memory: 512, Drives: drive}, "")
		if !strings.Contains(said, "slot=SECONDARY") {
			t.Errorf("the kernel was given %q", said)
		}
	})
}

// TestTwoMedia: each boots by itself, and says which it is.
func TestTwoMedia(t *testing.T) {
	level.Require(t, level.Full)
	one, two := helloPlan(t, "one"), helloPlan(t, "two")
	drives := []vm.Drive{{File: build(t, two), Bus: vm.USB, Snapshot: true}, {File: build(t, one), Bus: vm.Virtio, Snapshot: true}}
	for _, uefi := range []bool{false, true} {
		t.Run(fmt.Sprintf("uefi=%v", uefi), func(t *testing.T) {
			said := bootTo(t, vm.Config{Machine: "q35", UEFI: uefi, Memory: 512, Drives: drives}, "")
			if !strings.HasPrefix(said, "two:") || !strings.Contains(said, rootUUID(two)) {
				t.Errorf("the kernel was given %q", said)
			}
		})
	}
}

// TestWithoutSerialLine: the menu needs none. The first process cannot be
// heard then; it ends the machine.
func TestWithoutSerialLine(t *testing.T) {
	level.Require(t, level.Full)
	file := build(t, helloPlan(t, "mute"))
	for _, uefi := range []bool{false, true} {
		t.Run(fmt.Sprintf("uefi=%v", uefi), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), bootLimit)
			defer cancel()
			c := vm.Config{Machine: "q35", UEFI: uefi, Memory: 512, Dir: level.ShortDir(t),
				Drives: []vm.Drive{{File: file, Snapshot: true}}, Args: []string{"-serial", "none", "-device", "VGA"}}
			m, err := vm.Start(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if err := m.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
}
