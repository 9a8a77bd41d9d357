package grub

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Names of the images in a directory that MakeImages filled.
const (
	BootImage = "boot.img"    // first sector of a disk
	CoreImage = "core.img"    // GRUB itself, for BIOS
	EFIImage  = "bootx64.efi" // GRUB itself, for UEFI

	ISOHybridImage = "iso-hybrid.img" // first sector of an ISO written to a stick
	ISOCoreImage   = "iso-core.img"   // El Torito, for BIOS
	ISOEFIImage    = "iso-x64.efi"    // for UEFI
)

// DiskImages are those that a medium is made with, ISOImages those of an ISO.
func DiskImages() []string { return []string{BootImage, CoreImage, EFIImage} }

// ISOImages are those that only an ISO needs.
func ISOImages() []string { return []string{ISOHybridImage, ISOCoreImage, ISOEFIImage} }

// Runner runs a program of the tools root.
type Runner interface {
	Command(ctx context.Context, name string, args ...string) *exec.Cmd
}

// What is built into every core: all that the configuration uses, so that
// nothing has to be loaded from a medium that may be half broken.
var modules = []string{
	"normal", "configfile", "test", "echo", "true", "regexp", "sleep", "minicmd", "reboot", "halt", "ls", "cat", "help",
	"search", "search_label", "search_fs_uuid", "search_fs_file", "probe", "loadenv", "linux", "gzio",
	"serial", "terminal", "part_gpt", "part_msdos", "fat", "ext2",
}

// MakeImages makes the images in dir from GRUB's modules, which Debian has in
// usr/lib/grub. label is the medium's boot file system's, isoLabel the ISO's.
func MakeImages(ctx context.Context, tools Runner, moduleDir, dir, label, isoLabel string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make GRUB's images: %w", err)
	}
	const bios, efi = "i386-pc", "x86_64-efi"
	for _, img := range []struct {
		name, platform, format, prefix, label string
		extra                                 []string
	}{
		// The prefix without a drive is completed with the drive that the
		// firmware loaded GRUB from.
		{CoreImage, bios, "i386-pc", "(,gpt2)/grub", label, []string{"biosdisk"}},
		{EFIImage, efi, "x86_64-efi", "(,gpt2)/grub", label, []string{"all_video", "efifwsetup"}},
		{ISOCoreImage, bios, "i386-pc-eltorito", "/boot/grub", isoLabel, []string{"biosdisk", "iso9660"}},
		{ISOEFIImage, efi, "x86_64-efi", "/boot/grub", isoLabel, []string{"all_video", "efifwsetup", "iso9660"}},
	} {
		early := filepath.Join(dir, img.name+".cfg")
		if err := os.WriteFile(early, []byte(earlyConfig(img.label, strings.TrimPrefix(img.prefix, "(,gpt2)"))), 0o644); err != nil {
			return fmt.Errorf("make GRUB's image %s: %w", img.name, err)
		}
		args := []string{"-d", filepath.Join(moduleDir, img.platform), "-O", img.format, "-p", img.prefix,
			"-c", early, "-o", filepath.Join(dir, img.name)}
		args = append(append(args, modules...), img.extra...)
		out, err := tools.Command(ctx, "grub-mkimage", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("make GRUB's image %s: grub-mkimage: %w: %s", img.name, err, bytes.TrimSpace(out))
		}
		if err := os.Remove(early); err != nil {
			return fmt.Errorf("make GRUB's image %s: %w", img.name, err)
		}
	}
	for from, to := range map[string]string{"boot.img": BootImage, "boot_hybrid.img": ISOHybridImage} {
		b, err := os.ReadFile(filepath.Join(moduleDir, bios, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o644)
		}
		if err != nil {
			return fmt.Errorf("make GRUB's image %s: %w", to, err)
		}
	}
	return nil
}

// earlyConfig is what a core runs first. It looks for the boot file system
// where the firmware loaded GRUB from, and only then elsewhere: two media in
// one machine each boot by themselves.
func earlyConfig(label, prefix string) string {
	return fmt.Sprintf("search --no-floppy --set=root --hint=$root --label %s\nset prefix=($root)%s\n", label, prefix)
}

// Offsets in GRUB's first two sectors (include/grub/i386/pc/boot.h).
const (
	sector           = 512
	mbrCode          = 440   // bytes of the first sector that are GRUB's; then come the disk's signature and partitions
	bootKernelSector = 0x5c  // u64: where the core begins
	bootDrive        = 0x64  // 0xff: the drive that the firmware names
	bootDriveCheck   = 0x66  // a jump that only floppy disks need
	coreBlockList    = 0x1f4 // u64 sector, u16 sectors, u16 segment: where the rest of the core is
	coreSegment      = 0x820
)

// Embed returns the first bytes of a disk and the core to write at coreLBA,
// from the images in dir, so that a BIOS finds one through the other.
// room is how many bytes there are for the core.
func Embed(dir string, coreLBA uint64, room int64) (boot, core []byte, err error) {
	boot, err = os.ReadFile(filepath.Join(dir, BootImage))
	if err != nil {
		return nil, nil, fmt.Errorf("read GRUB's image: %w", err)
	}
	core, err = os.ReadFile(filepath.Join(dir, CoreImage))
	if err != nil {
		return nil, nil, fmt.Errorf("read GRUB's image: %w", err)
	}
	if len(boot) != sector {
		return nil, nil, fmt.Errorf("GRUB's image %s has %d bytes, want %d", filepath.Join(dir, BootImage), len(boot), sector)
	}
	if int64(len(core)) > room || len(core) < 2*sector {
		return nil, nil, fmt.Errorf("GRUB's image %s has %d bytes, want %d to %d", filepath.Join(dir, CoreImage), len(core), 2*sector, room)
	}
	sectors := (len(core) + sector - 1) / sector
	core = append(core, make([]byte, sectors*sector-len(core))...)
	binary.LittleEndian.PutUint64(boot[bootKernelSector:], coreLBA)
	boot[bootDrive] = 0xff
	boot[bootDriveCheck], boot[bootDriveCheck+1] = 0x90, 0x90
	binary.LittleEndian.PutUint64(core[coreBlockList:], coreLBA+1)
	binary.LittleEndian.PutUint16(core[coreBlockList+8:], uint16(sectors-1))
	binary.LittleEndian.PutUint16(core[coreBlockList+10:], coreSegment)
	return boot[:mbrCode], core, nil
}
