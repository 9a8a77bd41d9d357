// Package guest makes the virtual machine that the end-to-end tests use as a
// customer's server: a small Debian with a kernel initiator, multipath tools,
// sg3-utils and fio, as a disk image that boots by itself (MBR, GRUB, ext4)
// and as kernel, initramfs and root disk for a direct boot. It is made from
// the packages that this machine's own apt configuration offers, without
// root, loop devices or mounts, and kept below .cache until the recipe or a
// package changes.
package guest

import (
	"context"
	"crypto/sha256"
	_ "embed" // the guest's two init scripts
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/vm"
)

// Marker is the line that the guest prints on its serial console when it is
// up: network configured, agent listening.
const Marker = "esos-guest: up"

// recipe is raised by hand when a change of this package's code changes the
// image; changes of the lists and scripts are noticed by themselves.
const recipe = "3"

// packages are installed with what they depend on.
var packages = []string{
	"linux-image-amd64", "busybox-static", "kmod", "udev", "util-linux", "e2fsprogs", "xfsprogs",
	"open-iscsi", "multipath-tools", "sg3-utils", "fio", "eject", "nvme-cli", "iproute2",
}

// modules are the kernel modules that the root has, besides those they need.
var modules = []string{
	"virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "virtio_scsi",
	"crc32c_generic", "ext4", "xfs", "isofs",
	"iscsi_tcp", "sd_mod", "sr_mod", "sg", "scsi_dh_alua",
	"dm_multipath", "dm_service_time", "dm_round_robin", "dm_queue_length",
	"rdma_rxe", "ib_iser", "ib_srp", "nvme_tcp", "nvme_rdma", "fcoe",
}

// bootModules are those of the initramfs. crc32c_generic has to be there
// before ext4, which asks for it by the name of an algorithm.
var bootModules = []string{"virtio_pci", "virtio_blk", "virtio_scsi", "sr_mod", "crc32c_generic", "ext4", "isofs"}

//go:embed files/initramfs-init
var initramfsInit string

//go:embed files/init
var rootInit string

// Image is the guest on this machine's disk. The files are shared by tests:
// nobody writes to them.
type Image struct {
	Disk   string // raw disk image, bootable by BIOS
	Kernel string
	Initrd string
}

// Append is the kernel command line for a direct boot with Disk as the
// first drive.
const Append = "console=ttyS0 root=/dev/vda1 quiet panic=-1 net.ifnames=0 mitigations=off"

// Build returns the image, making it first when cache has none of this recipe.
// progress hears what is being done.
func Build(ctx context.Context, cache string, progress io.Writer) (Image, error) {
	dir := filepath.Join(cache, "guest")
	if err := os.MkdirAll(filepath.Join(dir, "debs", "partial"), 0o755); err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	defer unlock()

	apt := aptCache{dir: dir}
	debs, err := apt.resolve(ctx, packages)
	if err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	final := filepath.Join(dir, key(debs))
	if _, err := os.Stat(final); err == nil {
		return imageIn(final), nil
	}
	start := time.Now()
	fmt.Fprintf(progress, "guest: %d packages, %d MB\n", len(debs), totalSize(debs)>>20)
	if err := apt.download(ctx, packages); err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	work, err := os.MkdirTemp(dir, "work-")
	if err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	defer os.RemoveAll(work)
	out := filepath.Join(work, "out")
	if err := os.Mkdir(out, 0o755); err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	if err := assemble(ctx, apt, debs, work, imageIn(out)); err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	if err := os.Rename(out, final); err != nil {
		return Image{}, fmt.Errorf("build guest: %w", err)
	}
	fmt.Fprintf(progress, "guest: made in %.0f s\n", time.Since(start).Seconds())
	return imageIn(final), nil
}

func assemble(ctx context.Context, apt aptCache, debs []deb, work string, out Image) error {
	r := root{dir: filepath.Join(work, "root"), stage: filepath.Join(work, "kernel")}
	if err := r.unpack(ctx, apt, debs); err != nil {
		return err
	}
	if err := r.installKernel(ctx, out); err != nil {
		return err
	}
	if err := r.configure(ctx); err != nil {
		return err
	}
	return makeDisk(ctx, r.dir, work, out.Disk)
}

func imageIn(dir string) Image {
	return Image{
		Disk:   filepath.Join(dir, "disk.img"),
		Kernel: filepath.Join(dir, "vmlinuz"),
		Initrd: filepath.Join(dir, "initrd.img"),
	}
}

// key names an image by all that goes into it.
func key(debs []deb) string {
	h := sha256.New()
	fmt.Fprintln(h, recipe, modules, bootModules, initramfsInit, rootInit, vm.AgentScript, grubConfig, excluded, skipped)
	for _, d := range debs {
		fmt.Fprintln(h, d.file)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// lock keeps other test processes out until unlock is called.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { _ = f.Close() }, nil
}
