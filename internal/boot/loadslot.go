package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/slot"
)

// KeysDir holds the public keys whose signatures the boot trusts.
const KeysDir = "/etc/esos/keys"

// systemNeeds is the memory that a system takes beside its image: 640 MB are
// enough for an image of 320 MB.
const systemNeeds = 224 << 20

// MemoryFor is the memory that a machine must have to boot an image of a size.
func MemoryFor(image int64) int64 { return image + systemNeeds }

// errMemory says that the image and a system do not fit into memory.
var errMemory = errors.New("too little memory")

// loadSlot checks the slot that was asked for, and copies its system into
// memory as it does. If anything in it is not as it was signed it takes the
// other slot: a damaged stick still boots.
func (b *Boot) loadSlot(ctx context.Context) error {
	dir, err := b.mountSlots()
	if err != nil {
		return err
	}
	keys, err := slot.LoadKeys(os.DirFS(b.path(KeysDir)))
	if err != nil {
		return fmt.Errorf("%w: the initramfs is not complete", err)
	}
	names := []slot.Name{b.report.Options.Slot, b.report.Options.Slot.Other()}
	if b.report.Options.ISO != NoISO {
		names = []slot.Name{slot.Primary}
	}
	b.report.DamagedSlots = nil
	var errs []error
	for i, name := range names {
		err := b.loadFrom(ctx, filepath.Join(dir, string(name)), keys)
		if err == nil {
			b.report.Slot = name
			b.tellSlot()
			return nil
		}
		err = fmt.Errorf("slot %s: %w", name, err)
		if errors.Is(err, errMemory) || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
		b.report.DamagedSlots = append(b.report.DamagedSlots, Damage{name, err.Error()})
		if i+1 < len(names) {
			b.warn("%v: trying slot %s", err, names[i+1])
		}
	}
	return fmt.Errorf("no slot of %s can be booted: %w", b.report.Medium.Device, errors.Join(errs...))
}

// mountSlots mounts the file system that the slots are in.
func (b *Boot) mountSlots() (dir string, err error) {
	if b.report.Options.ISO != NoISO {
		if err := b.modules.need("isofs"); err != nil {
			return "", err
		}
		dir = filepath.Join(MediumDir, "iso")
		device := b.report.Medium.Partitions[labelISO].Device
		return dir, b.mount(device, dir, "iso9660", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
	}
	if err := b.modules.need("ext4"); err != nil {
		return "", err
	}
	dir = filepath.Join(MediumDir, "root")
	return dir, b.mountExt4(b.report.Medium.Partitions[labelRoot].Device, dir)
}

// loadFrom checks the slot in a directory and leaves its image in b.image.
func (b *Boot) loadFrom(ctx context.Context, dir string, keys []slot.PublicKey) error {
	manifest, err := b.openManifest(dir, keys)
	if err != nil {
		return err
	}
	part, err := manifest.Part(slot.RootFile)
	if err != nil {
		return err
	}
	source := filepath.Join(dir, slot.RootFile)
	src, err := openForCopy(b.path(source))
	if err != nil {
		return err
	}
	defer src.Close()
	workers := runtime.NumCPU() + 1 // one reads while the others compute
	if b.report.Mode == ModePersist {
		b.say("checking ESOS %s on the medium", manifest.Version)
		if err := part.Verify(ctx, src, workers, b.progress(part.Size)); err != nil {
			return err
		}
		b.image = source
	} else {
		if b.image, err = b.copyImage(ctx, manifest, part, src, workers); err != nil {
			return err
		}
		// What was read only once must not crowd out what is read again.
		b.Linux.Forget(b.path(source))
	}
	b.manifest = manifest
	b.report.RootSHA256, b.report.RootSize = part.SHA256, part.Size
	return nil
}

// copyImage copies a part into a tmpfs that has just the room for it.
func (b *Boot) copyImage(ctx context.Context, m slot.Manifest, part slot.Part, src io.ReaderAt, workers int) (string, error) {
	if err := b.checkMemory(part.Size); err != nil {
		return "", err
	}
	if err := b.unmount(ImageDir); err != nil { // of a slot that was damaged
		return "", err
	}
	if err := b.mountImage(part.Size); err != nil {
		return "", err
	}
	b.say("loading ESOS %s into memory: %d MiB", m.Version, part.Size>>20)
	name := filepath.Join(ImageDir, slot.RootFile)
	if err := b.copyPart(ctx, name, part, src, workers); err != nil {
		return "", errors.Join(err, b.unmount(ImageDir))
	}
	return name, nil
}

// copyPart makes a file in a tmpfs of a part. The part is read into the
// file's own pages and checked there, which spares a copy of all of it.
func (b *Boot) copyPart(ctx context.Context, name string, part slot.Part, src io.ReaderAt, workers int) error {
	dst, err := os.OpenFile(b.path(name), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o444)
	if err != nil {
		return err
	}
	defer dst.Close()
	if part.Size == 0 {
		return fmt.Errorf("%s is empty", part.Name)
	}
	if err := dst.Truncate(part.LoadSize()); err != nil {
		return err
	}
	pages, err := unix.Mmap(int(dst.Fd()), 0, int(part.LoadSize()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	err = part.Load(ctx, pages, src, workers, b.progress(part.Size))
	return errors.Join(err, unix.Munmap(pages), dst.Truncate(part.Size))
}

// mountImage mounts a tmpfs for a file of size bytes, with huge pages if the
// kernel has them: they are filled faster, and read faster ever after.
func (b *Boot) mountImage(size int64) error {
	const huge = 2 << 20
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	options := fmt.Sprintf("size=%d,mode=0755", (size+huge-1)&^(huge-1)+huge)
	if b.mount("tmpfs", ImageDir, "tmpfs", flags, options+",huge=within_size") == nil {
		return nil
	}
	return b.mount("tmpfs", ImageDir, "tmpfs", flags, options)
}

// openManifest reads a slot's manifest, if it is signed.
func (b *Boot) openManifest(dir string, keys []slot.PublicKey) (slot.Manifest, error) {
	data, err := readLimited(b.path(filepath.Join(dir, slot.ManifestFile)), slot.MaxManifest)
	if err != nil {
		return slot.Manifest{}, err
	}
	sig, err := readLimited(b.path(filepath.Join(dir, slot.SignatureFile)), 1024)
	if err != nil {
		return slot.Manifest{}, err
	}
	return slot.Open(data, sig, keys)
}

// tellSlot reports what is booted.
func (b *Boot) tellSlot() {
	m := b.manifest
	b.report.Version, b.report.Built, b.report.ImageKernel = m.Version, m.Built, m.Kernel
	if len(b.report.DamagedSlots) > 0 {
		b.warn("slot %s is damaged; running from slot %s (ESOS %s): write the damaged one anew with `esos upgrade`", b.report.Options.Slot, b.report.Slot, m.Version)
	}
	if m.Kernel != b.report.Kernel {
		b.warn("kernel %s runs, and the image has the modules of %s: hardware may not work; boot slot %s from GRUB's menu", b.report.Kernel, m.Kernel, b.report.Slot)
	}
}

// checkMemory refuses what would end with a system that is killed piece by
// piece.
func (b *Boot) checkMemory(image int64) error {
	total, err := b.memory()
	if err != nil {
		return err
	}
	if need := MemoryFor(image); total < need {
		return fmt.Errorf("%w: the image takes %d MiB and a system %d MiB beside it, and this machine has %d MiB: add memory, or boot with esos_persist on the kernel's command line, which runs from the medium",
			errMemory, image>>20, systemNeeds>>20, total>>20)
	}
	return nil
}

// memory is what the kernel has to give, in bytes.
func (b *Boot) memory() (int64, error) {
	data, err := os.ReadFile(b.path("/proc/meminfo"))
	if err != nil {
		return 0, err
	}
	var kib int64
	if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kib); err != nil {
		return 0, fmt.Errorf("read the size of memory in /proc/meminfo: %w", err)
	}
	return kib << 10, nil
}

// progress tells every few seconds how far a copy is: a slow stick takes
// minutes.
func (b *Boot) progress(size int64) func(int64) {
	const every = 3 * time.Second
	told := time.Now()
	return func(done int64) {
		if time.Since(told) >= every && size > 0 {
			told = time.Now()
			b.say("%d of %d MiB", done>>20, size>>20)
		}
	}
}

// openForCopy opens a file past the page cache, where the file system can:
// whole chunks are read at once, and no second copy is left in memory.
func openForCopy(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		return os.Open(path)
	}
	return f, err
}

// readLimited reads a small file.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, nil
}
