package guest

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
)

const (
	sectorSize = 512
	// The partition begins at 1 MiB, as partitioning tools lay it; GRUB's core
	// image lives in the gap before it.
	partitionStart   = 2048
	partitionSectors = 384 << 20 / sectorSize
	grubDir          = "/usr/lib/grub/i386-pc"
)

const grubConfig = `serial --unit=0 --speed=115200
terminal_output serial
linux /boot/vmlinuz ` + Append + `
initrd /boot/initrd.img
boot
`

// grubModules are in the core image, so that nothing but the configuration is
// read from the file system before the kernel.
var grubModules = []string{"biosdisk", "part_msdos", "ext2", "normal", "serial", "terminal", "linux", "boot"}

// makeDisk writes a disk image with one bootable partition that holds the
// tree at rootDir.
func makeDisk(ctx context.Context, rootDir, work, name string) error {
	grubHome := filepath.Join(rootDir, "boot/grub")
	if err := os.MkdirAll(grubHome, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(grubHome, "grub.cfg"), []byte(grubConfig), 0o644); err != nil {
		return err
	}
	if err := makeFile(name, (partitionStart+partitionSectors)*sectorSize); err != nil {
		return err
	}
	// metadata_csum_seed and orphan_file are younger than some GRUBs.
	if _, err := run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-L", "guest", "-O", "^metadata_csum_seed,^orphan_file",
		"-E", fmt.Sprintf("offset=%d,root_owner=0:0", partitionStart*sectorSize), "-d", rootDir,
		name, fmt.Sprintf("%dk", partitionSectors*sectorSize/1024)); err != nil {
		return err
	}
	core := filepath.Join(work, "core.img")
	if _, err := run(ctx, "grub-mkimage", append([]string{"-O", "i386-pc", "-o", core,
		"-p", "(hd0,msdos1)/boot/grub"}, grubModules...)...); err != nil {
		return err
	}
	boot, err := os.ReadFile(filepath.Join(grubDir, "boot.img"))
	if err != nil {
		return err
	}
	coreImage, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	head, err := bootSectors(boot, coreImage)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		_ = f.Close()
		return fmt.Errorf("write boot sectors: %w", err)
	}
	return f.Close()
}

func makeFile(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// bootSectors returns what lies before the partition: the MBR with GRUB's
// boot.img and the partition table, and from sector 1 the core image. This is
// what grub-install does on a BIOS disk (GRUB's boot.S, diskboot.S).
func bootSectors(boot, core []byte) ([]byte, error) {
	if len(boot) != sectorSize || len(core) < 2*sectorSize {
		return nil, fmt.Errorf("install GRUB: boot.img of %d and core image of %d bytes", len(boot), len(core))
	}
	if len(core) > (partitionStart-1)*sectorSize {
		return nil, fmt.Errorf("install GRUB: core image of %d bytes does not fit before the partition", len(core))
	}
	head := make([]byte, (len(core)+2*sectorSize-1)/sectorSize*sectorSize)
	copy(head, boot[:440])
	binary.LittleEndian.PutUint64(head[0x5c:], 1) // where the core image is
	head[0x64] = 0xff                             // boot from the drive the BIOS named
	head[0x66], head[0x67] = 0x90, 0x90           // and believe the BIOS: no jump to the floppy check
	table := head[446:]
	table[0] = 0x80 // active
	copy(table[1:], []byte{0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff})
	binary.LittleEndian.PutUint32(table[8:], partitionStart)
	binary.LittleEndian.PutUint32(table[12:], partitionSectors)
	head[510], head[511] = 0x55, 0xaa
	copy(head[sectorSize:], core)
	// The core image's first sector loads the others: start, count, segment.
	blocks := head[sectorSize+0x1f4:]
	binary.LittleEndian.PutUint64(blocks, 2)
	binary.LittleEndian.PutUint16(blocks[8:], uint16((len(core)+sectorSize-1)/sectorSize-1))
	binary.LittleEndian.PutUint16(blocks[10:], 0x820)
	return head, nil
}
