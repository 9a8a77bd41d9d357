package boot

import (
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/persist"
)

// newRoot is where the system's root is put together.
const newRoot = "/sysroot"

// mountSystem mounts the image, and the memory that takes what the running
// system writes.
func (b *Boot) mountSystem(context.Context) error {
	if err := b.modules.need("loop", "squashfs", "overlay"); err != nil {
		return err
	}
	if !b.mounted[LowerDir] {
		device, err := b.Linux.AttachLoop(b.path(b.image))
		if err != nil {
			return fmt.Errorf("make %s a block device: %w", b.image, err)
		}
		if err := b.mount(device, LowerDir, "squashfs", unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
			return err
		}
	}
	size, err := b.writable()
	if err != nil {
		return err
	}
	return b.mount("tmpfs", RWDir, "tmpfs", unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0755", size))
}

// writable is how much memory the files of the running system may take: half
// of what the image and the system leave. A tmpfs that may take more than
// there is ends in a machine that kills its own daemons.
func (b *Boot) writable() (int64, error) {
	const least = 64 << 20
	total, err := b.memory()
	if err != nil {
		return 0, err
	}
	rest := total - systemNeeds
	if b.report.Mode != ModePersist {
		rest -= b.report.RootSize
	}
	return max(rest/2, least) &^ 0xfff, nil
}

// mountRoot lays the writable directory over the image.
func (b *Boot) mountRoot(context.Context) error {
	for _, dir := range []string{UpperDir, WorkDir} {
		if err := mkdir(b.path(dir)); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,%s", b.path(LowerDir), b.path(UpperDir), b.path(WorkDir), persist.OverlayOptions)
	if err := b.mount("overlay", newRoot, "overlay", 0, options); err != nil {
		return err
	}
	return b.ensureMachineID(b.path(filepath.Join(newRoot, "etc/machine-id")))
}
