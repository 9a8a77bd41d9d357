package medium

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium/grub"
)

// Build makes the medium on target: a block device, all of which it takes, or
// a file, which it makes or replaces. It needs no loop device, and for a file
// no privileges. The same plan gives the same bytes. The partition table is
// written last: before that, target is no medium.
func Build(ctx context.Context, p Plan, target string) error {
	if err := p.check(); err != nil {
		return err
	}
	st, err := os.Stat(target)
	if err == nil && st.Mode()&os.ModeDevice != 0 {
		return p.buildOn(ctx, target)
	}
	// A file gets its name when it is complete.
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("build the medium %s: %w", target, err)
	}
	hidden := target + ".new"
	if err := os.Remove(hidden); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("build the medium %s: %w", target, err)
	}
	f, err := os.OpenFile(hidden, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("build the medium %s: %w", target, err)
	}
	err = errors.Join(f.Truncate(p.Sizes.Total()), f.Close())
	if err == nil {
		err = p.buildOn(ctx, hidden)
	}
	if err == nil {
		err = os.Rename(hidden, target)
	}
	if err == nil {
		err = host.SyncDir(filepath.Dir(target))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("build the medium %s: %w", target, err), os.RemoveAll(hidden))
	}
	return nil
}

func (p Plan) buildOn(ctx context.Context, target string) error {
	f, err := os.OpenFile(target, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", target, err)
	}
	defer f.Close()
	size, err := deviceSize(f)
	if err != nil {
		return err
	}
	if size < p.Sizes.Total() {
		return fmt.Errorf("%s has %d MiB, and the medium takes %d MiB: take a larger one", target, size/mib, p.Sizes.Total()/mib)
	}
	work, err := os.MkdirTemp("", "esos-medium-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "mke2fs.conf"), []byte(mke2fsConfig), 0o600); err != nil {
		return err
	}
	parts := p.Sizes.Layout()
	p.progress("clear "+target, 0, 0)
	if err := clearRemains(f, parts, size); err != nil {
		return err
	}
	m := maker{plan: p, target: target, work: work}
	if err := m.boot(ctx, parts); err != nil {
		return err
	}
	if err := m.root(ctx, parts); err != nil {
		return err
	}
	if err := m.settings(ctx, parts); err != nil {
		return err
	}
	p.progress("make durable", 0, 0)
	if err := p.embed(f, parts); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", target, err)
	}
	return writeTable(f, newTable(parts, p.Identity), size)
}

// boot makes ESOS_BOOT: GRUB for UEFI, its menu, and each slot's kernel. The
// slots are real copies: damage to one leaves the other.
func (m maker) boot(ctx context.Context, parts []Partition) error {
	p := m.plan
	config, err := p.Menu().Config()
	if err != nil {
		return err
	}
	env, err := grub.Env{}.Bytes()
	if err != nil {
		return err
	}
	dirs := []string{"EFI", "EFI/BOOT", "grub"}
	files := []fatFile{{filepath.Join(p.GRUB, grub.EFIImage), "EFI/BOOT/BOOTX64.EFI"}}
	for name, text := range map[string][]byte{"grub.cfg": config, "grubenv": env} {
		if err := os.WriteFile(filepath.Join(m.work, name), text, 0o644); err != nil {
			return err
		}
	}
	files = append(files, fatFile{filepath.Join(m.work, "grub.cfg"), "grub/grub.cfg"}, fatFile{filepath.Join(m.work, "grubenv"), "grub/grubenv"})
	debug, err := p.debugFiles()
	if err != nil {
		return err
	}
	for _, slot := range grub.Slots() {
		dirs = append(dirs, slot)
		for _, name := range append(append([]string{}, bootFiles...), debug...) {
			files = append(files, fatFile{filepath.Join(p.Slot, name), slot + "/" + name})
		}
	}
	p.progress("make "+LabelBoot, 0, 0)
	part, _ := Labelled(parts, LabelBoot)
	return m.fat(ctx, part, dirs, files)
}

// root makes esos_root with the slots.
func (m maker) root(ctx context.Context, parts []Partition) error {
	p := m.plan
	names, err := p.rootFiles()
	if err != nil {
		return err
	}
	var total, done int64
	for _, name := range names {
		st, err := os.Stat(filepath.Join(p.Slot, name))
		if err != nil {
			return err
		}
		total += st.Size() * int64(len(grub.Slots()))
	}
	step := "make " + LabelRoot
	part, _ := Labelled(parts, LabelRoot)
	return m.ext4(ctx, extFS{part: part, journal: 16, inodes: 512, fill: func(w *tar.Writer) error {
		p.progress(step, 0, total)
		signature := filepath.Join(p.Slot, signatureFile)
		if err := addFile(w, p, signature, MadeOfFile, 0o644, func(int64) {}); err != nil {
			return err
		}
		for _, slot := range grub.Slots() {
			if err := addDir(w, p, slot, 0o755); err != nil {
				return err
			}
			for _, name := range names {
				err := addFile(w, p, filepath.Join(p.Slot, name), slot+"/"+name, 0o644, func(n int64) {
					done += n
					p.progress(step, done, total)
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	}})
}

// settings makes esos_conf, with the first settings if there are some, and
// esos_logs.
func (m maker) settings(ctx context.Context, parts []Partition) error {
	p := m.plan
	conf, _ := Labelled(parts, LabelConf)
	fs := extFS{part: conf, journal: 8, inodes: 8192}
	if p.Seed != "" {
		fs.fill = func(w *tar.Writer) error { return addTree(w, p, p.Seed, SeedDir) }
	}
	p.progress("make "+LabelConf, 0, 0)
	if err := m.ext4(ctx, fs); err != nil {
		return err
	}
	logs, _ := Labelled(parts, LabelLogs)
	p.progress("make "+LabelLogs, 0, 0)
	return m.ext4(ctx, extFS{part: logs, journal: 16})
}

// embed puts GRUB for BIOS where a BIOS looks for it.
func (p Plan) embed(f *os.File, parts []Partition) error {
	part, _ := Labelled(parts, LabelGRUB)
	boot, core, err := grub.Embed(p.GRUB, uint64(part.Start/SectorSize), part.Size)
	if err != nil {
		return err
	}
	for at, b := range map[int64][]byte{0: boot, part.Start: core} {
		if _, err := f.WriteAt(b, at); err != nil {
			return fmt.Errorf("write GRUB: %w", err)
		}
	}
	return nil
}

// clearRemains zeroes where the partition tables, superblocks and labels of
// something else could be: at the ends of the drive and of each partition. A
// drive with two of them is recognised as neither.
func clearRemains(f *os.File, parts []Partition, size int64) error {
	zero := make([]byte, mib)
	clear := func(at int64) error {
		at = max(0, at)
		if _, err := f.WriteAt(zero[:min(mib, size-at)], at); err != nil {
			return fmt.Errorf("clear what was on %s: %w", f.Name(), err)
		}
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Mode().IsRegular() {
		return nil // fresh, so that it stays sparse
	}
	ends := []int64{0, size - mib}
	for _, p := range parts {
		ends = append(ends, p.Start, p.End()-mib)
	}
	for _, at := range ends {
		if err := clear(at); err != nil {
			return err
		}
	}
	return nil
}

// deviceSize is the size of a file or of a block device in bytes.
func deviceSize(f *os.File) (int64, error) {
	size, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_END)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", f.Name(), err)
	}
	return size, nil
}
