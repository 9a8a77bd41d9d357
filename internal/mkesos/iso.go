package mkesos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/image"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/medium/iso"
	"github.com/esos-project/esos/internal/medium/stick"
)

// isoFlags are the command line of mkesos iso.
type isoFlags struct {
	out, work, seed          string
	device, transport, model string
	wipe, noPrompt           bool
}

func isoCommand() *cobra.Command {
	var f isoFlags
	c := &cobra.Command{
		Use:   "iso [OUT-DIR]",
		Short: "Make an ISO that runs the image, or installs it",
		Long: `Make an ISO of a build's output directory (default: the last build's). It boots
from a CD, a server's remote console or a stick, by BIOS and UEFI. Its entry "Live"
runs ESOS and changes nothing; "Install" makes a boot medium of a disk or stick.

The --install flags put into the ISO what the installer is to do. With one of them
and --no-prompt it installs by itself, and the ISO does so if nobody chooses
otherwise at its menu: keep it away from other machines.`,
		Example: "  mkesos iso\n  mkesos iso --install-tran usb --wipe --no-prompt --output esos-install.iso",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := filepath.Join(defaultWork, "out")
			if len(args) == 1 {
				dir = args[0]
			}
			return f.run(c, dir)
		},
	}
	s := c.Flags()
	s.StringVar(&f.out, "output", "", "the `FILE` to make (default: esos.iso in OUT-DIR)")
	s.StringVar(&f.work, "work", defaultWork, "`directory` of the build, whose tools make the ISO")
	s.StringVar(&f.seed, "seed", "", "`directory` of first settings for what is installed (default: those of the build)")
	s.StringVar(&f.device, "install-dev", "", "install on this disk, such as /dev/sda")
	s.StringVar(&f.transport, "install-tran", "", "install on the disk on this bus: usb, sata, nvme, sas, virtio")
	s.StringVar(&f.model, "install-model", "", "install on the disk whose model matches this `PATTERN`")
	s.BoolVar(&f.wipe, "wipe", false, "overwrite what is on the disk")
	s.BoolVar(&f.noPrompt, "no-prompt", false, "ask nothing")
	return c
}

func (f *isoFlags) run(c *cobra.Command, dir string) error {
	recipe, err := medium.LoadRecipe(filepath.Join(dir, medium.RecipeFile))
	if err != nil {
		return fmt.Errorf("%w; name the output directory of a build, or run mkesos build", err)
	}
	tools, err := image.OpenTools(f.work, time.Unix(recipe.Time, 0))
	if err != nil {
		return err
	}
	arguments, err := f.arguments()
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = filepath.Join(dir, "esos.iso")
	}
	seed := f.seed
	if seed == "" {
		seed = filepath.Join(f.work, "seed")
		if _, err := os.Stat(seed); errors.Is(err, fs.ErrNotExist) {
			seed = ""
		}
	}
	bar := stick.NewBar(c.ErrOrStderr(), onTerminal(c.ErrOrStderr()))
	err = iso.Build(c.Context(), iso.Plan{
		Recipe: recipe, Tools: tools, Slot: filepath.Join(dir, "slot"), GRUB: filepath.Join(dir, image.GRUBDir), Seed: seed,
		Install: arguments, Unattended: f.unattended(), Progress: bar.Progress,
	}, out)
	bar.End()
	if err != nil {
		return err
	}
	st, err := os.Stat(out)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "%s, %s\n", out, disk.HumanSize(st.Size()))
	if f.unattended() {
		fmt.Fprintln(c.OutOrStdout(), "It installs without asking on the machine that boots it.")
	}
	return nil
}

// unattended tells whether the ISO installs by itself.
func (f *isoFlags) unattended() bool {
	return f.noPrompt && (f.device != "" || f.transport != "" || f.model != "")
}

// arguments are the kernel's, for the installer.
func (f *isoFlags) arguments() ([]string, error) {
	if f.noPrompt && !f.unattended() {
		return nil, errors.New("--no-prompt: say also where to install, with --install-dev, --install-tran or --install-model")
	}
	if _, err := regexp.Compile(f.model); err != nil {
		return nil, fmt.Errorf("--install-model: %w", err)
	}
	var args []string
	for _, a := range []struct{ name, value string }{
		{"install_dev", f.device}, {"install_tran", f.transport}, {"install_model", f.model},
	} {
		if a.value != "" {
			args = append(args, a.name+"="+a.value)
		}
	}
	if f.wipe {
		args = append(args, "wipe_devs=1")
	}
	if f.noPrompt {
		args = append(args, "no_prompt=1")
	}
	return args, nil
}
