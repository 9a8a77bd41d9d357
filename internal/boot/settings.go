package boot

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/persist"
)

// restoreSettings brings the saved settings back, before the overlay is
// mounted over them. Whatever is wrong with them, the system boots: it can be
// reached and mended then.
func (b *Boot) restoreSettings(ctx context.Context) error {
	if err := mkdir(b.path(UpperDir)); err != nil {
		return err
	}
	if b.report.Options.ISO != NoISO {
		return nil
	}
	conf, ok := b.report.Medium.Partitions[labelConf]
	if !ok {
		b.noSettings("no settings are restored: the medium has no %s: the partition is not there, or the file system in it is destroyed", labelConf)
		return nil
	}
	dir := filepath.Join(MediumDir, "conf")
	if err := b.mountConf(conf, dir); err != nil {
		b.noSettings("no settings are restored: %v", err)
		return nil
	}
	var prefer persist.Prefer
	// A slot that is booted instead of one on trial is what GRUB would have
	// fallen back to.
	if b.report.Options.OwnSettings || b.onTrial() && b.report.Slot != b.report.Options.Slot {
		prefer.Slot = string(b.report.Slot)
	}
	restored, err := b.Restore(ctx, b.path(dir), b.path(UpperDir), prefer)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.report.Restored = restored
	for _, s := range restored.Skipped {
		b.warn("settings: %s", s)
	}
	switch {
	case err != nil:
		b.noSettings("the settings are not restored: %v", err)
	case restored.Generation != nil:
		b.Log.Info("restored the settings", "generation", restored.Generation.Number, "files", restored.Files)
	}
	return nil
}

// noSettings warns of that, and reports it for those who look later.
func (b *Boot) noSettings(format string, a ...any) {
	b.report.SettingsProblem = fmt.Sprintf(format, a...)
	b.warn("%s", b.report.SettingsProblem)
}

// mountConf mounts the settings, to be written to only if they stay mounted.
func (b *Boot) mountConf(conf Partition, dir string) error {
	if b.report.Mode == ModePersist && conf.Problem == "" {
		err := b.mount(conf.Device, dir, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		if err == nil {
			return nil
		}
		b.warn("%s can only be read: %v", labelConf, err)
	}
	return b.mountExt4(conf.Device, dir)
}

// ensureMachineID gives the machine an identity if the image and the settings
// have none. Without one systemd takes every boot for the first, and does over
// what it does then.
func (b *Boot) ensureMachineID(path string) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if id := strings.TrimSpace(string(data)); id != "" && id != "uninitialized" {
		return nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make a machine id: %w", err)
	}
	// A random UUID, machine-id(5): RFC 9562 section 5.4.
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(id[:])+"\n"), 0o444); err != nil {
		return fmt.Errorf("write the machine id: %w", err)
	}
	b.report.NewMachineID = true
	return nil
}

func mkdir(dir string) error { return os.MkdirAll(dir, 0o755) }
