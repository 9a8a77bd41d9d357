// Package install makes a medium of a disk, in a system that was booted from
// the ISO: by the kernel's arguments alone, or with a person's answers.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/iso"
	"github.com/esos-project/esos/internal/slot"
)

// Installer installs.
type Installer struct {
	Options boot.InstallOptions
	Machine disk.Machine
	Tools   medium.Tools
	ISO     string           // where it is mounted
	Trusted []slot.PublicKey // that may have signed the slot

	Ask func(ctx context.Context, question string) (string, error)
	Out io.Writer
	// Progress hears what is being done and how many of how many bytes.
	Progress func(step string, done, total int64)
	// Wait is how long a disk that fits is waited for: drivers and drives take
	// their time. Nothing else waits.
	Wait time.Duration
}

// ErrDeclined says that a person did not want it.
var ErrDeclined = errors.New("nothing was changed")

// Run chooses the disk, checks what is on the ISO, makes the medium and reads
// it back. It returns the disk.
func (i Installer) Run(ctx context.Context) (disk.Disk, error) {
	d, err := i.run(ctx)
	if err != nil {
		return d, fmt.Errorf("install ESOS: %w", err)
	}
	return d, nil
}

func (i Installer) run(ctx context.Context) (disk.Disk, error) {
	plan, err := i.plan()
	if err != nil {
		return disk.Disk{}, err
	}
	version, err := i.verify(ctx)
	if err != nil {
		return disk.Disk{}, err
	}
	fmt.Fprintf(i.Out, "ESOS %s; its signature is good.\n", version)
	d, err := i.target(ctx, plan.Sizes.Total())
	if err != nil {
		return d, err
	}
	if err := i.consent(ctx, d); err != nil {
		return d, err
	}
	// The kernel refuses this while anything uses the disk; what is looked at
	// above may have changed while a person thought.
	f, err := disk.Claim(d.Path)
	if err != nil {
		return d, err
	}
	if err := f.Close(); err != nil { // mke2fs wants the disk for itself
		return d, err
	}
	fmt.Fprintf(i.Out, "Installing on %s\n", d)
	if err := medium.Build(ctx, plan, d.Path); err != nil {
		return d, err
	}
	if err := medium.Verify(ctx, plan, d.Path); err != nil {
		return d, err
	}
	// That the kernel does not see the partitions yet is no harm: a reboot
	// follows.
	_ = medium.RereadTable(d.Path)
	return d, nil
}

// plan is the medium that the ISO's recipe makes, with an identity of its own.
func (i Installer) plan() (medium.Plan, error) {
	recipe, err := medium.LoadRecipe(filepath.Join(i.ISO, medium.RecipeFile))
	if err != nil {
		return medium.Plan{}, fmt.Errorf("%w; is the ISO there?", err)
	}
	if recipe.Identity, err = medium.NewIdentity(); err != nil {
		return medium.Plan{}, err
	}
	p := medium.Plan{
		Recipe: recipe, Tools: i.Tools, Progress: i.Progress,
		Slot: filepath.Join(i.ISO, iso.SlotDir), GRUB: filepath.Join(i.ISO, iso.GRUBDir),
	}
	if st, err := os.Stat(filepath.Join(i.ISO, iso.SeedDir)); err == nil && st.IsDir() {
		p.Seed = filepath.Join(i.ISO, iso.SeedDir)
	}
	return p, nil
}

// verify checks the slot's signature and the digest of every part: what a bad
// CD drive reads is not written.
func (i Installer) verify(ctx context.Context) (string, error) {
	dir := filepath.Join(i.ISO, iso.SlotDir)
	text, err := os.ReadFile(filepath.Join(dir, slot.ManifestFile))
	if err != nil {
		return "", fmt.Errorf("read the ISO: %w", err)
	}
	sig, err := os.ReadFile(filepath.Join(dir, slot.SignatureFile))
	if err != nil {
		return "", fmt.Errorf("read the ISO: %w", err)
	}
	m, err := slot.Open(text, sig, i.Trusted)
	if err != nil {
		return "", fmt.Errorf("check the ISO: %w", err)
	}
	for _, p := range m.Parts {
		f, err := os.Open(filepath.Join(dir, p.Name))
		if err != nil {
			return "", fmt.Errorf("check the ISO: %w", err)
		}
		err = p.Verify(ctx, f, runtime.NumCPU(), func(done int64) { i.Progress("check "+p.Name, done, p.Size) })
		_ = f.Close()
		if err != nil {
			return "", fmt.Errorf("check the ISO: %w", err)
		}
	}
	return m.Version, nil
}

// target is the disk: the only one that fits, or the one that a person picks.
func (i Installer) target(ctx context.Context, size int64) (disk.Disk, error) {
	for end := time.Now().Add(i.Wait); ; {
		c, err := i.look(size)
		if err != nil {
			return disk.Disk{}, err
		}
		if len(c.fits) > 0 || time.Now().After(end) {
			if len(c.fits) > 1 && !i.Options.NoPrompt {
				return i.pick(ctx, c)
			}
			return c.only(i.Options)
		}
		select {
		case <-ctx.Done():
			return disk.Disk{}, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (i Installer) look(size int64) (choice, error) {
	disks, err := i.Machine.List()
	if err != nil {
		return choice{}, err
	}
	isoDisk, err := i.Machine.MountedFrom(i.ISO)
	if err != nil {
		return choice{}, fmt.Errorf("find the disk that the ISO is on: %w", err)
	}
	return choose(disks, i.Options, isoDisk, size, func(path string) string {
		if !strings.Contains(path, "/") {
			path = filepath.Join(i.Machine.Dev, path)
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		return path
	})
}

func (i Installer) pick(ctx context.Context, c choice) (disk.Disk, error) {
	fmt.Fprintln(i.Out, "Disks that ESOS can be installed on:")
	for n, d := range c.fits {
		fmt.Fprintf(i.Out, "  %d  %s\n", n+1, d)
	}
	for range 3 {
		answer, err := i.Ask(ctx, "Which one? Its number, or nothing to leave: ")
		if err != nil {
			return disk.Disk{}, err
		}
		if answer == "" {
			return disk.Disk{}, ErrDeclined
		}
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(c.fits) {
			return c.fits[n-1], nil
		}
		fmt.Fprintf(i.Out, "%q is none of 1 to %d.\n", answer, len(c.fits))
	}
	return disk.Disk{}, ErrDeclined
}

// consent makes sure that what is on the disk may go.
func (i Installer) consent(ctx context.Context, d disk.Disk) error {
	f, err := os.Open(d.Path)
	if err != nil {
		return fmt.Errorf("look what is on %s: %w", d, err)
	}
	contents, err := disk.Contents(f, d.Size)
	_ = f.Close()
	if err != nil {
		return fmt.Errorf("look what is on %s: %w", d, err)
	}
	var list bytes.Buffer
	for _, c := range contents {
		fmt.Fprintf(&list, "\n  %s", c)
	}
	if i.Options.NoPrompt {
		if len(contents) > 0 && !i.Options.Wipe {
			return fmt.Errorf("%s is not blank, and wipe_devs=1 was not given:%s", d, list.String())
		}
		return i.refuseAgain(d)
	}
	fmt.Fprintf(i.Out, "ESOS will be installed on %s.\n", d)
	question := "It is blank. Type yes to go on: "
	want := "yes"
	if len(contents) > 0 {
		want = d.Name
		question = fmt.Sprintf("Everything on it will be lost:%s\nType its name (%s) to go on: ", list.String(), d.Name)
	}
	answer, err := i.Ask(ctx, question)
	if err != nil {
		return err
	}
	if answer != want {
		return ErrDeclined
	}
	return nil
}
