// Package iso makes the ISO that runs ESOS from a CD, a USB stick or a server's
// remote console, and installs it from there.
package iso

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
)

// Where things are on an ISO. The slot is in a directory named like a medium's.
const (
	SlotDir = "PRIMARY"
	GRUBDir = "grub" // grub.DiskImages, for the medium that is installed
	SeedDir = "seed"
	menuDir = "boot/grub"
)

// Plan is an ISO to make.
type Plan struct {
	Recipe medium.Recipe // of the medium that it installs
	Tools  medium.Tools
	Slot   string // directory of the slot's files
	GRUB   string // directory of grub.MakeImages
	Seed   string // directory of first settings of what is installed; "" for none

	// Install are kernel arguments for the installer: where to install, and
	// whether to ask.
	Install []string
	// Unattended boots the installer if nobody chooses otherwise.
	Unattended bool

	Progress func(step string, done, total int64) // may be nil
}

// Build makes the ISO target. The same plan gives the same bytes.
func Build(ctx context.Context, p Plan, target string) error {
	if err := p.build(ctx, target); err != nil {
		return fmt.Errorf("make the ISO %s: %w", target, err)
	}
	return nil
}

func (p Plan) build(ctx context.Context, target string) error {
	work, err := os.MkdirTemp("", "esos-iso-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	grafts, err := p.collect(work)
	if err != nil {
		return err
	}
	p.say("make GRUB's file system")
	efi := filepath.Join(work, "efi.img")
	if err := p.efiImage(ctx, efi); err != nil {
		return err
	}
	grafts = append(grafts, graft{menuDir + "/efi.img", efi})
	hidden := target + ".new"
	if err := os.RemoveAll(hidden); err != nil {
		return err
	}
	p.say("write the ISO")
	if err := p.xorriso(ctx, work, grafts, hidden); err != nil {
		return errors.Join(err, os.RemoveAll(hidden))
	}
	if err := settle(hidden, target); err != nil {
		return errors.Join(err, os.RemoveAll(hidden))
	}
	return nil
}

// settle gives the complete file its name.
func settle(hidden, target string) error {
	f, err := os.OpenFile(hidden, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(hidden, target); err != nil {
		return err
	}
	return host.SyncDir(filepath.Dir(target))
}

// graft is a file or directory of the host at a path of the ISO.
type graft struct{ to, from string }

// collect says what goes where. Names with "=" or "\" would be misread.
func (p Plan) collect(work string) ([]graft, error) {
	menu, err := grub.ISOMenu{
		Arguments: p.Recipe.Arguments + " " + p.Recipe.ProductionArguments, Install: p.Install, Unattend: p.Unattended,
	}.Config()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(work, "grub.cfg")
	if err := os.WriteFile(config, menu, 0o644); err != nil {
		return nil, err
	}
	recipe := filepath.Join(work, medium.RecipeFile)
	if err := p.Recipe.Save(recipe); err != nil {
		return nil, err
	}
	grafts := []graft{
		{menuDir + "/grub.cfg", config},
		{menuDir + "/" + grub.ISOCoreImage, filepath.Join(p.GRUB, grub.ISOCoreImage)},
		{medium.RecipeFile, recipe},
	}
	names := medium.SlotFiles()
	for _, name := range []string{grub.DebugKernel, grub.DebugInitrd} {
		if _, err := os.Stat(filepath.Join(p.Slot, name)); err == nil {
			names = append(names, name)
		}
	}
	more, err := medium.MoreFiles(p.Slot)
	if err != nil {
		return nil, err
	}
	for _, name := range append(names, more...) {
		grafts = append(grafts, graft{SlotDir + "/" + name, filepath.Join(p.Slot, name)})
	}
	for _, name := range grub.DiskImages() {
		grafts = append(grafts, graft{GRUBDir + "/" + name, filepath.Join(p.GRUB, name)})
	}
	if p.Seed != "" {
		grafts = append(grafts, graft{SeedDir, p.Seed})
	}
	for _, g := range grafts {
		if _, err := os.Stat(g.from); err != nil {
			return nil, fmt.Errorf("%s: %w", g.to, err)
		}
		if strings.ContainsAny(g.from, `=\`) {
			return nil, fmt.Errorf("the path %s has characters that xorriso takes for its own", g.from)
		}
	}
	return grafts, nil
}

// efiImage makes the FAT file system that UEFI loads GRUB from.
func (p Plan) efiImage(ctx context.Context, path string) error {
	st, err := os.Stat(filepath.Join(p.GRUB, grub.ISOEFIImage))
	if err != nil {
		return err
	}
	const mib = 1 << 20
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, (st.Size()/mib+2)*mib); err != nil {
		return err
	}
	volume := p.Recipe.Identity.UUID("iso/efi")
	for _, args := range [][]string{
		{"mkfs.vfat", "--invariant", "-n", "ESOS_EFI", "-i", fmt.Sprintf("%x", volume[:4]), path},
		{"mmd", "-i", path, "::/EFI"},
		{"mmd", "-i", path, "::/EFI/BOOT"},
		{"mcopy", "-i", path, filepath.Join(p.GRUB, grub.ISOEFIImage), "::/EFI/BOOT/BOOTX64.EFI"},
	} {
		if err := p.run(ctx, args[0], args[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// xorriso writes the ISO: El Torito for BIOS and UEFI, and first sectors that
// both also boot when it is on a stick (what grub-mkrescue asks for).
func (p Plan) xorriso(ctx context.Context, work string, grafts []graft, out string) error {
	paths := filepath.Join(work, "paths")
	var list bytes.Buffer
	for _, g := range grafts {
		fmt.Fprintf(&list, "/%s=%s\n", g.to, g.from)
	}
	if err := os.WriteFile(paths, list.Bytes(), 0o644); err != nil {
		return err
	}
	// Without these, files keep the times that they have on this machine.
	date := time.Unix(p.Recipe.Time, 0).UTC().Format("20060102150405") + "00"
	core := menuDir + "/" + grub.ISOCoreImage
	return p.run(ctx, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-iso-level", "3",
		"-V", medium.LabelISO, "-A", "ESOS", "-sysid", "LINUX", "-publisher", "ESOS",
		"--modification-date="+date, "--set_all_file_dates", date,
		"-o", out, "-graft-points",
		"--grub2-mbr", filepath.Join(p.GRUB, grub.ISOHybridImage), "--protective-msdos-label",
		"-c", "boot/boot.cat", "-b", core, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
		"--efi-boot", menuDir+"/efi.img", "-efi-boot-part", "--efi-boot-image",
		"-path-list", paths)
}

func (p Plan) run(ctx context.Context, name string, args ...string) error {
	cmd := p.command(ctx, name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// command is a tool's with the ISO's time for its clock.
func (p Plan) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := p.Tools.Command(ctx, name, args...)
	env := cmd.Env
	if env == nil {
		env = os.Environ()
	}
	cmd.Env = append(env, "LC_ALL=C", "TZ=UTC", "SOURCE_DATE_EPOCH="+strconv.FormatInt(p.Recipe.Time, 10),
		"MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1")
	return cmd
}

func (p Plan) say(step string) {
	if p.Progress != nil {
		p.Progress(step, 0, 0)
	}
}
