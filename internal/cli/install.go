package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/install"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/slot"
)

// systemKeys are the keys that this system trusts.
const systemKeys = "/usr/lib/esos/keys"

// installFlags are the command line of esos install.
type installFlags struct {
	boot.InstallOptions
	iso      string
	wait     time.Duration
	consoles bool
	noReboot bool
}

func (a *app) install() *cobra.Command {
	var f installFlags
	c := &cobra.Command{
		Use: "install", Short: "Install ESOS from the ISO that this system was booted from", Args: cobra.NoArgs,
		Long: `Install ESOS on a disk or stick, from the ISO that this system was booted from. The
ISO's entry "Install" runs it; what the kernel was given (install_dev=,
install_tran=, install_model=, wipe_devs=1, no_prompt=1) stands for the flags.

A disk that is in use, and the one that the ISO is on, are refused. If more than
one fits, a person picks one; with --no-prompt that is an error. A disk that is
not blank is taken only with --wipe, or when a person names it.`,
		Example: "  esos install\n  esos install --transport usb --wipe --no-prompt",
	}
	s := c.Flags()
	s.StringVar(&f.Device, "device", "", "the disk, such as /dev/sda or /dev/disk/by-id/...")
	s.StringVar(&f.Transport, "transport", "", "a disk on this bus: usb, sata, nvme, sas, virtio")
	s.StringVar(&f.Model, "model", "", "a disk whose model matches this `pattern` (a regular expression, any case)")
	s.BoolVar(&f.Wipe, "wipe", false, "overwrite what is on the disk")
	s.BoolVar(&f.NoPrompt, "no-prompt", false, "ask nothing, and reboot at the end")
	s.StringVar(&f.iso, "iso", filepath.Join(boot.MediumDir, "iso"), "`directory` where the ISO is mounted")
	s.DurationVar(&f.wait, "wait", 30*time.Second, "how long to wait for a disk that fits")
	s.BoolVar(&f.consoles, "consoles", false, "speak on all of the machine's consoles")
	s.BoolVar(&f.noReboot, "no-reboot", false, "do not reboot at the end")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if os.Geteuid() != 0 {
			return codeError{errors.New("install ESOS: only root may write to disks; use sudo"), exitDenied}
		}
		if err := f.complete(); err != nil {
			return err
		}
		return a.runInstall(c.Context(), f)
	}
	return c
}

// complete takes from the kernel's command line what no flag says.
func (f *installFlags) complete() error {
	r, err := boot.ReadReport(boot.ReportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k := r.Options.Install
	if f.Device == "" && f.Transport == "" && f.Model == "" {
		f.Device, f.Transport, f.Model = k.Device, k.Transport, k.Model
	}
	f.Wipe, f.NoPrompt = f.Wipe || k.Wipe, f.NoPrompt || k.NoPrompt
	return nil
}

func (a *app) runInstall(ctx context.Context, f installFlags) error {
	out, terminal := a.out, false
	ask := func(_ context.Context, question string) (string, error) { return a.ask(question) }
	if f.consoles {
		c, err := install.OpenConsoles()
		if err != nil {
			return err
		}
		out, ask = c, c.Ask
	} else if file, ok := a.out.(*os.File); ok {
		terminal = term.IsTerminal(int(file.Fd()))
	}
	err := a.installTo(ctx, f, out, ask, terminal)
	if err != nil && f.consoles {
		fmt.Fprintf(out, "esos: %v\nLog in and run 'esos install' to try again.\n", err)
	}
	return err
}

func (a *app) installTo(ctx context.Context, f installFlags, out io.Writer, ask func(context.Context, string) (string, error), terminal bool) error {
	m := disk.This()
	if err := install.MountISO(m, f.iso); err != nil {
		return err
	}
	trusted, err := slot.LoadKeys(os.DirFS(systemKeys))
	if err != nil {
		return fmt.Errorf("%s: %w", systemKeys, err)
	}
	bar := stick.NewBar(out, terminal)
	d, err := install.Installer{
		Options: f.InstallOptions, Machine: m, Tools: medium.HostTools{}, ISO: f.iso, Trusted: trusted,
		Ask: ask, Out: out, Progress: bar.Progress, Wait: f.wait,
	}.Run(ctx)
	bar.End()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "ESOS is installed on %s, and was read back.\n", d)
	if f.noReboot {
		return nil
	}
	pull := install.EjectISO(m, f.iso)
	switch {
	case f.NoPrompt && pull != nil:
		fmt.Fprintf(out, "%v: if the machine starts the ISO again, remove it.\n", pull)
	case !f.NoPrompt:
		if _, err := ask(ctx, "Remove the ISO and press Enter to reboot: "); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "Rebooting.")
	// Not to wait for it, nor to end with ctx: the shutdown ends this program.
	reboot := exec.CommandContext(context.WithoutCancel(ctx), "systemctl", "--no-block", "reboot")
	if text, err := reboot.CombinedOutput(); err != nil {
		return fmt.Errorf("reboot: systemctl: %w: %s", err, strings.TrimSpace(string(text)))
	}
	return nil
}
