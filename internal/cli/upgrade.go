package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/upgrade"
)

func (a *app) upgrade() *cobra.Command {
	var yes, reboot bool
	c := &cobra.Command{
		Use:   "upgrade FILE|URL|-",
		Short: "Put another version of ESOS on the medium, and try it at the next boot",
		Long: `Put another version of ESOS on the medium, into the slot that does not run. The file
is what 'mkesos build' leaves as esos-VERSION.upgrade; it can come from a web server
or from standard input.

Who signed it, whether all of it is there, whether it fits and whether the machine
has the memory for it is checked first; nothing is changed if anything of that is
wrong. Then the settings are saved, the slot is written and read back, and the next
boot tries it. If the newer system is not healthy within ten minutes, or does not
boot, twice, the machine comes back to this one, with the settings of before and an
alert that says why. 'esos rollback' goes back by hand.

It needs root, and not the daemon.`,
		Example: "  esos upgrade esos-1.1.upgrade\n  esos upgrade https://files.example.com/esos-1.1.upgrade --yes --reboot",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&reboot, "reboot", false, "reboot into it at once")
	c.RunE = func(c *cobra.Command, args []string) error {
		m, err := slots("upgrade ESOS")
		if err != nil {
			return err
		}
		return mediumGone(a.runUpgrade(c.Context(), m, args[0], yes, reboot))
	}
	c.AddCommand(a.upgradeStatus(), a.upgradeConfirm(), a.upgradeDismiss(), a.upgradeGiveUp())
	return c
}

// slots is the machine, to be changed by root only.
func slots(what string) (*upgrade.Machine, error) {
	m, err := upgrade.Here()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, codeError{fmt.Errorf("%s: only root may; use sudo", what), exitDenied}
	}
	return m, nil
}

// mediumGone gives the error of a medium that is not there its exit code.
func mediumGone(err error) error {
	var gone *attach.GoneError
	if errors.As(err, &gone) {
		return codeError{err, exitMedium}
	}
	return err
}

func (a *app) runUpgrade(ctx context.Context, m *upgrade.Machine, name string, yes, reboot bool) error {
	s, err := upgrade.OpenSource(ctx, name, a.in)
	if err != nil {
		return err
	}
	defer s.Close()
	bar := stick.NewBar(a.err, isTerminal(a.err))
	m.Progress = bar.Progress
	p, err := m.Prepare(ctx, s)
	bar.End()
	if err != nil {
		return err
	}
	a.describe(m, p)
	if !yes {
		if name == "-" {
			return usageError{errors.New("the upgrade comes from standard input, which cannot answer questions as well: say --yes")}
		}
		if answer, err := a.ask("Write it? [y/N] "); err != nil {
			return err
		} else if answer != "y" && answer != "yes" {
			return codeError{errors.New("nothing was changed"), exitInterrupted}
		}
	}
	err = p.Write(ctx, a.serving(ctx))
	bar.End()
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "ESOS %s is in slot %s, and was read back. The next boot tries it.\n", p.Manifest.Version, p.Slot)
	if p.KeptMenu {
		fmt.Fprintln(a.err, "esos: warning: GRUB's configuration was changed by hand and stays; if the new version needs other kernel arguments, they are in grub.cfg of its slot on esos_root")
	}
	return a.rebootOr(ctx, reboot)
}

// describe says what is about to be done.
func (a *app) describe(m *upgrade.Machine, p *upgrade.Prepared) {
	running, built := m.Report, p.Manifest.BuiltAt()
	fmt.Fprintf(a.err, "ESOS %s, built %s, kernel %s: signed by a key that this system trusts", p.Manifest.Version, built.Format(time.DateOnly), p.Manifest.Kernel)
	if p.Checked {
		fmt.Fprint(a.err, ", and complete")
	}
	fmt.Fprintf(a.err, ".\nIt goes into slot %s", p.Slot)
	if p.Replaces != "" {
		fmt.Fprintf(a.err, ", where ESOS %s is", p.Replaces)
	}
	fmt.Fprintf(a.err, "; ESOS %s runs from slot %s and stays.\n", running.Version, running.Slot)
	switch {
	case p.Manifest.Version == running.Version && p.Manifest.Built == running.Built:
		fmt.Fprintln(a.err, "Note: it is the version that runs.")
	case p.Manifest.Built < running.Built:
		fmt.Fprintf(a.err, "Note: it is OLDER than what runs, which was built %s; settings that only the newer one knows may be refused.\n", time.Unix(running.Built, 0).UTC().Format(time.DateOnly))
	}
}

// serving is what the array is like now; nil, with a warning, if that cannot be
// told.
func (a *app) serving(ctx context.Context) *upgrade.Serving {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := a.askServing(ctx)
	if err != nil {
		fmt.Fprintf(a.err, "esos: warning: what the array serves now is not noted for comparison: %v\n", err)
		return nil
	}
	return s
}

func (a *app) askServing(ctx context.Context) (*upgrade.Serving, error) {
	o := client.Options{Socket: a.socket} // this machine's, whatever --api says
	if o.Socket == "" {
		var err error
		if o.Socket, err = findSocket(); err != nil {
			return nil, err
		}
	}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &upgrade.Serving{Revision: s.Revision.Number, Problems: upgrade.Objects(s.Problems)}, nil
}

// rebootOr reboots, or says that somebody has to.
func (a *app) rebootOr(ctx context.Context, reboot bool) error {
	if !reboot {
		fmt.Fprintln(a.out, "Reboot when it suits you: systemctl reboot")
		return nil
	}
	fmt.Fprintln(a.out, "Rebooting.")
	// Not to wait for it, nor to end with ctx: the shutdown ends this program.
	text, err := exec.CommandContext(context.WithoutCancel(ctx), "systemctl", "--no-block", "reboot").CombinedOutput()
	if err != nil {
		return fmt.Errorf("reboot: systemctl: %w: %s", err, strings.TrimSpace(string(text)))
	}
	return nil
}

// isTerminal tells whether somebody watches.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
