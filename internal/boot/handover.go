package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// leaveMedium unmounts the medium, so that it may be pulled; or, if the system
// runs from it, mounts the rest of it.
func (b *Boot) leaveMedium(context.Context) error {
	if b.report.Options.ISO != NoISO {
		b.mountedAt(labelISO, "iso")
		return nil
	}
	if b.report.Mode == ModePersist {
		return b.keepMedium()
	}
	for _, name := range []string{"conf", "root"} {
		dir := filepath.Join(MediumDir, name)
		if err := b.unmount(dir); err != nil {
			return err
		}
		if err := os.Remove(b.path(dir)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	for _, p := range b.report.Medium.Partitions {
		b.Linux.Forget(b.path(p.Device))
	}
	return nil
}

// keepMedium mounts what is left of the medium of a system that runs from it.
func (b *Boot) keepMedium() error {
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	b.mountedAt(labelRoot, "root")
	b.mountedAt(labelConf, "conf")
	if logs, ok := b.report.Medium.Partitions[labelLogs]; ok {
		err := errors.New(logs.Problem)
		if logs.Problem == "" {
			err = b.mount(logs.Device, filepath.Join(MediumDir, "logs"), "ext4", safe, "")
		}
		if err != nil {
			b.warn("%s is not mounted: %v", labelLogs, err)
		}
		b.mountedAt(labelLogs, "logs")
	}
	if boot, ok := b.report.Medium.Partitions[labelBoot]; ok {
		err := b.modules.need("nls_cp437", "nls_ascii", "vfat")
		if err == nil {
			err = b.mount(boot.Device, filepath.Join(MediumDir, "boot"), "vfat", unix.MS_RDONLY|safe, "umask=0022")
		}
		if err != nil {
			b.warn("%s is not mounted: %v", labelBoot, err)
		}
		b.mountedAt(labelBoot, "boot")
	}
	return nil
}

// mountedAt reports where a partition is mounted, if it is.
func (b *Boot) mountedAt(label, name string) {
	dir := filepath.Join(MediumDir, name)
	if p, ok := b.report.Medium.Partitions[label]; ok && b.mounted[dir] {
		p.Mounted = dir
		b.report.Medium.Partitions[label] = p
	}
}

// stopForRescue gives a person the machine as the system would find it.
func (b *Boot) stopForRescue(ctx context.Context) error {
	if !b.report.Options.Rescue {
		return nil
	}
	b.report.Options.Rescue = false // for this once
	return fmt.Errorf("esos_rescue is on the kernel's command line: the system's root is at %s, leave the shell to go on", newRoot)
}

// writeReport writes the report where the running system finds it.
func (b *Boot) writeReport(context.Context) error {
	b.report.HandedOver = seconds(b.Clock())
	data, err := json.MarshalIndent(b.report, "", "\t")
	if err != nil {
		return fmt.Errorf("write %s: %w", ReportFile, err)
	}
	// It is in memory, and nobody reads it before the next stage.
	return os.WriteFile(b.path(ReportFile), append(data, '\n'), 0o644)
}

const initProgram = "/sbin/init"

// handOver takes the kernel's file systems along into the new root and becomes
// its init.
func (b *Boot) handOver(context.Context) error {
	// What cannot be undone comes after what can be known beforehand.
	if _, err := os.Lstat(b.path(filepath.Join(newRoot, initProgram))); err != nil {
		return fmt.Errorf("the system has no %s: %w", initProgram, err)
	}
	argv := []string{initProgram}
	if b.report.Options.Single {
		argv = append(argv, "--unit=rescue.target")
	}
	var moved []string
	back := func() {
		for _, dir := range moved {
			if err := b.Linux.Move(b.path(newRoot+dir), b.path(dir)); err != nil {
				b.Log.Error("undo the hand-over", "directory", dir, "error", err)
			}
		}
	}
	for _, dir := range []string{"/run", "/sys", "/proc", "/dev"} {
		err := mkdir(b.path(newRoot + dir))
		if err == nil {
			err = b.Linux.Move(b.path(dir), b.path(newRoot+dir))
		}
		if err != nil {
			back()
			return fmt.Errorf("take %s along into the system: %w", dir, err)
		}
		moved = append(moved, dir)
	}
	b.Log.Info("handing over", "version", b.report.Version, "slot", b.report.Slot)
	err := b.Linux.SwitchRoot(b.path(newRoot), argv, []string{"HOME=/", "TERM=" + os.Getenv("TERM")})
	back()
	return err
}
