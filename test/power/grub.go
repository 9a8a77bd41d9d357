package power

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	diskfile "github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

// Menu is what GRUB finds on ESOS_BOOT. GRUB reads the file system as it is:
// nobody repairs it before.
type Menu struct {
	Env   grub.Env
	Files map[slot.Name]map[string]File // kernel and initramfs, if they are there
	// EnvErr is why GRUB has no environment, and boots what it does without.
	EnvErr error
}

// File is a file that GRUB loads.
type File struct {
	Size   int64
	SHA256 string
}

// ReadMenu reads ESOS_BOOT of a medium's image.
func ReadMenu(image string, parts []medium.Partition) (Menu, error) {
	m := Menu{Files: map[slot.Name]map[string]File{}}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return m, err
	}
	defer f.Close()
	p, ok := medium.Labelled(parts, medium.LabelBoot)
	if !ok {
		return m, fmt.Errorf("the medium has no partition %s", medium.LabelBoot)
	}
	if err := firstFAT(f, p.Start); err != nil {
		return m, fmt.Errorf("read %s: %w", medium.LabelBoot, err)
	}
	fs, err := fat32.Read(diskfile.New(f, true), p.Size, p.Start, medium.SectorSize)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", medium.LabelBoot, err)
	}
	block, err := readFAT(fs, "grub/grubenv")
	if err == nil {
		m.Env, err = grub.ParseEnv(block)
	}
	m.EnvErr = err
	for _, name := range []slot.Name{slot.Primary, slot.Secondary} {
		m.Files[name] = map[string]File{}
		for _, file := range []string{slot.KernelFile, slot.InitrdFile} {
			data, err := readFAT(fs, string(name)+"/"+file)
			if err != nil {
				continue // as GRUB does
			}
			sum := sha256.Sum256(data)
			m.Files[name][file] = File{int64(len(data)), hex.EncodeToString(sum[:])}
		}
	}
	return m, nil
}

// firstFAT makes the copies of the file allocation table what the first one is.
// GRUB (grub-core/fs/fat.c) and Linux read that one alone; what reads it here
// refuses copies that differ, as a power cut leaves them.
func firstFAT(f *os.File, start int64) error {
	var boot [512]byte // the fields are those of FAT32's BIOS parameter block
	if _, err := f.ReadAt(boot[:], start); err != nil {
		return err
	}
	le := binary.LittleEndian
	sector := int64(le.Uint16(boot[11:]))
	at, copies, size := start+sector*int64(le.Uint16(boot[14:])), int64(boot[16]), sector*int64(le.Uint32(boot[36:]))
	if size <= 0 || size > 64<<20 {
		return fmt.Errorf("a file allocation table of %d bytes", size)
	}
	first := make([]byte, size)
	if _, err := f.ReadAt(first, at); err != nil {
		return err
	}
	for i := int64(1); i < copies; i++ {
		if _, err := f.WriteAt(first, at+i*size); err != nil {
			return err
		}
	}
	return nil
}

func readFAT(fs *fat32.FileSystem, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Loads tells whether GRUB's menu has an entry for a slot: it asks for files
// that are not empty.
func (m Menu) Loads(name slot.Name) bool {
	return m.Files[name][slot.KernelFile].Size > 0 && m.Files[name][slot.InitrdFile].Size > 0
}

// Next is the slot whose entry GRUB boots if nobody chooses, and what it tells
// esos-init of a trial: what internal/medium/grub's medium.cfg.tmpl says.
func (m Menu) Next() (entry slot.Name, words []string) {
	entry = slot.Primary
	if s := m.Env[grub.EnvDefault]; s != "" {
		entry = slot.Name(strings.TrimSuffix(s, "-DEBUG")) // of the same slot
	}
	var trial, fellBack slot.Name
	if next := slot.Name(m.Env[grub.EnvNext]); slices.Contains(grub.Slots(), string(next)) {
		fellBack = next
		if t := m.Env[grub.EnvTries]; t == "2" || t == "1" {
			entry, trial, fellBack = next, next, ""
		}
	}
	if !m.Loads(entry) {
		entry = entry.Other()
	}
	settings := "esos_settings=" + m.Env[grub.EnvSettings]
	switch {
	case trial == entry && trial != "":
		words = []string{"esos_trial"}
		if settings == "esos_settings=slot" {
			words = append(words, settings)
		}
	case trial != "":
		words = []string{"esos_fell_back=" + string(trial), "esos_settings=slot"}
	case fellBack != "" && fellBack != entry:
		words = []string{"esos_fell_back=" + string(fellBack), "esos_settings=slot"}
	}
	return entry, words
}

// Check compares what GRUB loads of a slot with what the slot's manifest says.
func (m Menu) Check(name slot.Name, manifest slot.Manifest) error {
	for _, file := range []string{slot.KernelFile, slot.InitrdFile} {
		part, err := manifest.Part(file)
		if err != nil {
			return err
		}
		if got := m.Files[name][file]; got.SHA256 != part.SHA256 {
			return fmt.Errorf("%s of slot %s is not that of ESOS %s: %d bytes, want %d", file, name, manifest.Version, got.Size, part.Size)
		}
	}
	return nil
}
