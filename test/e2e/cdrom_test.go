package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/array"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
)

// TestBootFromCDROM boots a virtual machine from an ISO file in a virtual
// CD-ROM drive. The drive's commands go through QEMU as they are, so that both
// the firmware and Linux speak to our drive; then the ISO is changed.
func TestBootFromCDROM(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	image, err := guest.Build(ctx, level.Cache(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	isos := t.TempDir()
	boot, second := filepath.Join(isos, "boot.iso"), filepath.Join(isos, "second.iso")
	makeISO(ctx, t, boot, image, "first disc")
	makeISO(ctx, t, second, image, "second disc")
	portal := array.FreeAddress(t)
	a := array.Start(t, array.Options{Document: fmt.Sprintf(`version: 1
name: cdrom
iscsi:
  portals:
  - name: p0
    address: %s
devices:
- name: cd
  handler: vcdrom
  path: %s
targets:
- name: %s
  groups:
  - name: vms
    initiators: ['%s']
    luns:
    - lun: 0
      device: cd
`, portal, boot, bootTarget, initiator)})

	m, err := vm.Start(ctx, vm.Config{
		Name: "cdrom", Dir: level.ShortDir(t), Memory: 512, CPUs: 2,
		Drives: []vm.Drive{
			{File: fmt.Sprintf("iscsi://%s/%s/0", portal, bootTarget), CDROM: true, Initiator: initiator},
			{File: image.Disk, Snapshot: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.WaitFor(ctx, "esos-cdrom: grub"); err != nil {
		t.Fatal(err)
	}
	s := &server{Server: guest.Up(t, m)}
	s.Run(t, "mkdir -p /tmp/cd; mount -t iso9660 -o ro /dev/sr0 /tmp/cd")
	if got := s.Run(t, "cat /tmp/cd/disc.txt; cmp /tmp/cd/vmlinuz /boot/vmlinuz && echo same"); got != "first disc\nsame\n" {
		t.Errorf("the first disc reads as %q", got)
	}
	// The guest locked the drive: the disc comes out when the guest lets it.
	if out, err := a.Try(t, "device", "eject", "--yes", "cd"); err == nil {
		t.Errorf("a locked drive was emptied:\n%s", out)
	}
	s.Run(t, "umount /tmp/cd && eject /dev/sr0")
	a.Run(t, "device", "eject", "--yes", "cd")
	if out, code := s.Status(t, "mount -t iso9660 -o ro /dev/sr0 /tmp/cd"); code == 0 {
		t.Errorf("an empty drive was mounted: %s", out)
	}
	a.Run(t, "device", "insert", "--yes", "cd", second)
	s.eventually(t, "the second disc", time.Minute, "mount -t iso9660 -o ro /dev/sr0 /tmp/cd && grep -q 'second disc' /tmp/cd/disc.txt")
	a.CheckProcesses(t)
}

// makeISO makes an ISO file that boots the guest's kernel by BIOS.
func makeISO(ctx context.Context, t *testing.T, name string, image guest.Image, label string) {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, image.Kernel, filepath.Join(dir, "vmlinuz"))
	copyFile(t, image.Initrd, filepath.Join(dir, "initrd.img"))
	write := func(rel, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, rel)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, rel), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("disc.txt", label+"\n")
	write("boot/grub/grub.cfg", "serial --unit=0 --speed=115200\nterminal_output serial\necho esos-cdrom: grub\n"+
		"linux /vmlinuz "+guest.Append+"\ninitrd /initrd.img\nboot\n")
	out, err := exec.CommandContext(ctx, "grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", name, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("make an ISO file: %v\n%s", err, strings.TrimSpace(string(out)))
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
