package boot

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
)

// marker is what the system's init prints when the system is up.
const marker = "boot-test: up"

// systemInit is the init of the system that is booted. It says that it is
// there, and serves the tests' scripts.
const systemInit = `#!/bin/busybox sh
export PATH=/sbin:/bin
busybox mount -t tmpfs tmp /tmp
echo "` + marker + ` $*"
# The port is there when its module is, which esos-init loaded.
n=0
while ! ls /sys/class/virtio-ports/*/name >/dev/null 2>&1 && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done
sh /lib/agent &
while :; do wait; sleep 1; done
`

var packages = []string{"linux-image-amd64", "busybox-static", "e2fsprogs", "mdadm"}

// bootModules are in the initramfs, with what they need: what the machines of
// these tests have, and the agent's port.
var bootModules = []string{
	"virtio_pci", "virtio_blk", "virtio_console", "virtio_rng", "usb-storage", "xhci_pci", "nvme", "ahci", "sd_mod", "sr_mod",
	"raid1", "crc32c_generic", "ext4", "loop", "squashfs", "overlay", "isofs", "vfat", "nls_cp437", "nls_ascii",
}

// lab has what media are made of.
type lab struct {
	kernel, initrd string
	slot           string // directory with the files of a slot, as on esos_root
	ballast        string // SHA-256 of the system's /lib/ballast
	dir            string // for the media
}

func newLab(ctx context.Context, t *testing.T) lab {
	t.Helper()
	for _, tool := range []string{"mksquashfs", "mkfs.ext4", "debugfs", "xorriso"} {
		if _, err := lookPath(tool); err != nil {
			t.Fatalf("%v: scripts/install-deps test installs it", err)
		}
	}
	kit, err := guest.Unpack(ctx, level.Cache(t), packages, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	l := lab{kernel: kit.Kernel, dir: t.TempDir()}
	l.initrd = filepath.Join(l.dir, "initrd.img")
	l.slot = filepath.Join(l.dir, "slot")
	key, err := slot.GenerateKey("test/boot")
	ok(t, err)
	ok(t, l.makeInitramfs(ctx, t, kit, key))
	// Something that does not compress, to be read into memory.
	ballast := make([]byte, 24<<20)
	fillRandom(ballast)
	l.ballast = fmt.Sprintf("%x", sha256.Sum256(ballast))
	ok(t, l.makeSlot(ctx, t, kit, key, ballast))
	return l
}

// makeInitramfs lays out what esos-init finds: see internal/boot.
func (l lab) makeInitramfs(ctx context.Context, t *testing.T, kit guest.Kit, key slot.PrivateKey) error {
	dir := filepath.Join(l.dir, "initramfs")
	for _, d := range []string{"dev", "proc", "sys", "run", "etc/esos/keys", "bin", "sbin"} {
		ok(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "init"), "./cmd/esos-init")
	build.Dir = level.Root(t)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build esos-init: %w\n%s", err, out)
	}
	if err := errors.Join(
		addBusybox(ctx, kit, dir), addProgram(kit, dir, "e2fsck"), addProgram(kit, dir, "mdadm"),
		kit.CopyModules(ctx, dir, bootModules),
		os.WriteFile(filepath.Join(dir, "etc/esos/modules"), []byte("crc32c_generic\next4\nloop\nsquashfs\noverlay\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "etc/esos/keys/test.pub"), slot.MarshalPublicKey(key.Public()), 0o644),
	); err != nil {
		return err
	}
	return guest.WriteInitramfs(dir, l.initrd)
}

// makeSlot makes a system and signs it.
func (l lab) makeSlot(ctx context.Context, t *testing.T, kit guest.Kit, key slot.PrivateKey, ballast []byte) error {
	dir := filepath.Join(l.dir, "system")
	for _, d := range []string{"dev", "proc", "sys", "run", "tmp", "etc", "bin", "sbin", "lib"} {
		ok(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	ok(t, os.MkdirAll(l.slot, 0o755))
	if err := errors.Join(
		addBusybox(ctx, kit, dir), addProgram(kit, dir, "mdadm"),
		kit.CopyModules(ctx, dir, []string{"raid1"}), // to make a mirror with
		os.WriteFile(filepath.Join(dir, "sbin/init"), []byte(systemInit), 0o755),
		os.WriteFile(filepath.Join(dir, "lib/agent"), []byte(vm.AgentScript), 0o644),
		os.WriteFile(filepath.Join(dir, "lib/ballast"), ballast, 0o644),
		os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0:root:/:/bin/sh\n"), 0o644),
	); err != nil {
		return err
	}
	image := filepath.Join(l.slot, slot.RootFile)
	if err := run(ctx, "mksquashfs", dir, image, "-comp", "gzip", "-all-root", "-noappend", "-quiet", "-no-progress"); err != nil {
		return err
	}
	f, err := os.Open(image)
	if err != nil {
		return err
	}
	defer f.Close()
	part, err := slot.Describe(f, slot.RootFile)
	if err != nil {
		return err
	}
	data, sig, err := slot.Manifest{Version: "1.0-test", Kernel: kit.Release, Parts: []slot.Part{part}}.Sign(key.Key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(l.slot, slot.ManifestFile), data, 0o644),
		os.WriteFile(filepath.Join(l.slot, slot.SignatureFile), sig, 0o644),
	)
}

// addBusybox puts busybox and a name for each of its commands into bin.
func addBusybox(ctx context.Context, kit guest.Kit, dir string) error {
	busybox := filepath.Join(kit.Root, "bin/busybox")
	if err := copyFile(busybox, filepath.Join(dir, "bin/busybox"), 0o755); err != nil {
		return err
	}
	list, err := exec.CommandContext(ctx, busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("ask busybox for its commands: %w", err)
	}
	for _, name := range strings.Fields(string(list)) {
		if name == "busybox" {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// addProgram puts a program into sbin, and the libraries it needs where its
// loader finds them.
func addProgram(kit guest.Kit, dir, name string) error {
	path := filepath.Join(kit.Root, "sbin", name)
	if err := copyFile(path, filepath.Join(dir, "sbin", name), 0o755); err != nil {
		return err
	}
	const loader = "lib64/ld-linux-x86-64.so.2"
	if err := copyFile(filepath.Join(kit.Root, loader), filepath.Join(dir, loader), 0o755); err != nil {
		return err
	}
	return addLibraries(kit, dir, path)
}

func addLibraries(kit guest.Kit, dir, path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("what does %s need: %w", path, err)
	}
	defer f.Close()
	needs, err := f.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("what does %s need: %w", path, err)
	}
	for _, name := range needs {
		rel := filepath.Join("lib/x86_64-linux-gnu", name)
		if strings.HasPrefix(name, "ld-linux") {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, rel)); err == nil {
			continue
		}
		from := filepath.Join(kit.Root, rel)
		if err := errors.Join(copyFile(from, filepath.Join(dir, rel), 0o755), addLibraries(kit, dir, from)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

func run(ctx context.Context, name string, args ...string) error {
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// lookPath finds tools of the sbin directories, too, which users have not
// always in their PATH.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("look for %s: %w", name, exec.ErrNotFound)
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
