package boot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/shelf"
)

// saveCrash is all that a crash kernel does: it saves what the kernel before
// it left in memory, and restarts the machine into service. It does that in
// any case, and within a time: whoever waits for the array waits for this.
func (b *Boot) saveCrash(ctx context.Context) error {
	_, err := os.Stat(b.path(crash.Core))
	if err != nil && !b.report.Options.Crash {
		return nil // a boot like any other
	}
	limit := cmp.Or(b.times.crash, usualTimes().crash)
	saving, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %v", limit))
	defer cancel()
	done := make(chan error, 1)
	go func() {
		if err != nil {
			done <- fmt.Errorf("the memory of the kernel that crashed cannot be had: %w", err)
			return
		}
		done <- guarded(saving, b.saveTo)
	}()
	select {
	case err = <-done:
	case <-saving.Done():
		// What can be ended ends at once; a system call into a disk that does
		// not answer never does.
		select {
		case err = <-done:
		case <-time.After(limit / 10):
			err = context.Cause(saving)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		b.warn("the crash is not saved, or not all of it: %v", err)
	}
	b.say("restarting")
	b.Linux.Restart()
	<-ctx.Done()
	return ctx.Err()
}

// unneeded are kernel modules without which a disk is found, and which take
// memory and time that a crash kernel does not have.
func unneeded() []string {
	return []string{"drivers/net", "drivers/hid"}
}

// saveTo finds the medium and saves the crash to its esos_logs.
func (b *Boot) saveTo(ctx context.Context) error {
	b.say("the kernel crashed: saving what it left")
	modules := b.path(filepath.Join("/lib/modules", b.report.Kernel, "kernel"))
	for _, dir := range unneeded() {
		if err := os.RemoveAll(filepath.Join(modules, dir)); err != nil {
			return err
		}
	}
	if err := b.startModules(ctx); err != nil {
		return err
	}
	defer b.modules.stop()
	b.report.Options.ISO = NoISO
	b.report.Options.Wait = min(b.report.Options.Wait, DefaultWait)
	if err := b.findMedium(ctx); err != nil {
		return err
	}
	logs, ok := b.report.Medium.Partitions[labelLogs]
	if !ok {
		return fmt.Errorf("the medium %s has no %s", b.report.Medium.Device, labelLogs)
	}
	if err := b.modules.need("ext4"); err != nil {
		return err
	}
	if logs.check != "" {
		b.say("checking %s (%s): %s", labelLogs, logs.Device, logs.check)
		if problem := b.checkFileSystem(ctx, logs.Device); problem != "" {
			b.warn("%s (%s) is damaged: %s", labelLogs, logs.Device, problem)
		}
	}
	// All that is needed is loaded: the files of the others are memory, too.
	b.modules.stop()
	if err := os.RemoveAll(modules); err != nil {
		return err
	}
	dir := filepath.Join(MediumDir, "logs")
	if err := b.mount(logs.Device, dir, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_NOATIME, "errors=remount-ro"); err != nil {
		return err
	}
	d, err := crash.Saver{
		Shelf: shelf.At(b.path(dir)), Core: b.path(crash.Core), Run: b.Linux.Run, Now: time.Now, Say: b.say,
		About: crash.Dump{Kernel: b.report.Kernel, Slot: string(b.report.Options.Slot), Version: b.imageVersion()},
	}.Save(ctx)
	if d.Messages > 0 {
		b.say("the crash is saved as %s on %s", d.Name, labelLogs)
	}
	return errors.Join(err, b.unmount(dir))
}

// VersionFile says which version of ESOS the initramfs is of.
const VersionFile = "/etc/esos/version"

func (b *Boot) imageVersion() string {
	text, err := os.ReadFile(b.path(VersionFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
