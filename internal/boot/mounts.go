package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mountKernel mounts what shows the kernel and its devices.
func (b *Boot) mountKernel(context.Context) error {
	const quiet = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV
	for _, m := range []struct {
		fstype, target string
		flags          uintptr
		options        string
	}{
		{"proc", "/proc", quiet, ""},
		{"sysfs", "/sys", quiet, ""},
		{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=0755"},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	} {
		if err := b.mount(m.fstype, m.target, m.fstype, m.flags, m.options); err != nil && !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	// The kernel lets ten lines in five seconds through, else. It refuses
	// where its command line has decided that.
	_ = os.WriteFile(b.path("/proc/sys/kernel/printk_devkmsg"), []byte("on\n"), 0o644)
	return nil
}

// readCommandLine learns what GRUB, or a person in its editor, asked for.
func (b *Boot) readCommandLine(context.Context) error {
	line, err := os.ReadFile(b.path("/proc/cmdline"))
	if err != nil {
		return err
	}
	b.words = Words(string(line))
	options, warnings := ParseOptions(string(line))
	for _, w := range warnings {
		b.warn("%s", w)
	}
	b.report.Options = options
	switch {
	case options.ISO == LiveISO:
		b.report.Mode = ModeLive
	case options.ISO == InstallISO:
		b.report.Mode = ModeInstall
	case options.Persist:
		b.report.Mode = ModePersist
	default:
		b.report.Mode = ModeMemory
	}
	release, err := os.ReadFile(b.path("/proc/sys/kernel/osrelease"))
	if err != nil {
		return err
	}
	b.report.Kernel = strings.TrimSpace(string(release))
	return nil
}

// mount mounts at a target, which it makes; once, however often it is asked.
func (b *Boot) mount(source, target, fstype string, flags uintptr, options string) error {
	if b.mounted[target] {
		return nil
	}
	if err := os.MkdirAll(b.path(target), 0o755); err != nil {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	if err := b.Linux.Mount(source, b.path(target), fstype, flags, options); err != nil {
		return fmt.Errorf("mount %s (%s) at %s: %w", source, fstype, target, err)
	}
	b.mounted[target] = true
	return nil
}

// unmount undoes mount, if that was done.
func (b *Boot) unmount(target string) error {
	if !b.mounted[target] {
		return nil
	}
	if err := b.Linux.Unmount(b.path(target)); err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	delete(b.mounted, target)
	return nil
}

// mountExt4 mounts a file system of the medium to be read; one that cannot be
// written to, with a journal that would have to be replayed, as it is.
func (b *Boot) mountExt4(device, target string) error {
	err := b.mount(device, target, "ext4", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err == nil {
		return nil
	}
	if b.mount(device, target, "ext4", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "noload") == nil {
		b.warn("%s is mounted without replaying its journal: %v", device, err)
		return nil
	}
	return err
}
