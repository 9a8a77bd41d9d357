package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

// settings is the machine whose settings a command is about; only root may
// read all of them.
func settings(what string) (*machine.Machine, error) {
	m, err := machine.Here()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, codeError{fmt.Errorf("%s: only root may do that; use sudo", what), exitDenied}
	}
	return m, nil
}

func (a *app) configGenerations() *cobra.Command {
	return &cobra.Command{
		Use: "generations", Short: "List the saved settings of this appliance, newest first", Args: cobra.NoArgs,
		Long: `List the generations of settings that are saved on the appliance's medium, newest
first, each read and checked to the last byte. A generation is all that differs
from the image under /etc, /var/lib, /opt and /root, documents included; 'esos
config history' lists the documents alone.

It needs root and the medium, and not the daemon.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := settings("list the saved settings")
			if err != nil {
				return err
			}
			list, err := m.Generations(c.Context())
			if err != nil {
				return err
			}
			return a.print(list, func(t *table) {
				t.head("generation", "when", "why", "host", "slot", "version", "size", "state")
				for _, l := range list {
					t.row(l.Number, when(l.When), l.Reason, l.Host, l.Slot, l.Version, disk.HumanSize(l.Archive), stateOf(l))
				}
			})
		},
	}
}

// stateOf says what a generation is to this machine.
func stateOf(l persist.Listed) string {
	if l.Damage != "" {
		return "damaged: " + l.Damage
	}
	var s []string
	if l.Current {
		s = append(s, "in force")
	}
	if l.Factory {
		s = append(s, "factory")
	}
	for _, name := range l.Slots {
		s = append(s, "last of "+name)
	}
	return strings.Join(s, ", ")
}

func (a *app) configRestore() *cobra.Command {
	var undo, yes bool
	c := &cobra.Command{
		Use: "restore GENERATION|FILE", Short: "Have the next boot come up with older settings, or those of a backup", Args: cobra.MaximumNArgs(1),
		Long: `Have the next boot come up with the settings of an older generation, or of a file
that 'esos config backup' wrote, on this machine or another one. They are checked,
and put in force as a new generation; the machine goes on as it is until it is
rebooted, and saves nothing until then. What it has now is saved before, and can
be brought back the same way. --undo calls it off.

It needs root and the medium, and not the daemon. To go back to an older document
without a reboot, use 'esos config rollback'.`,
		Example: "  esos config restore 12\n  esos config restore /tmp/array1.esos-settings\n  esos config restore --undo",
	}
	c.Flags().BoolVar(&undo, "undo", false, "call off what waits for the next boot")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		if undo != (len(args) == 0) {
			return usageError{errors.New("say which generation or which file, or --undo")}
		}
		m, err := settings("bring settings back")
		if err != nil {
			return err
		}
		if undo {
			saved, err := m.Undo(c.Context())
			if err != nil {
				return err
			}
			return a.printSynced(saved)
		}
		if !yes {
			if err := a.confirm("What is changed from now on until the reboot will not be saved. Go on?"); err != nil {
				return err
			}
		}
		var g persist.Generation
		if n, err := strconv.Atoi(args[0]); err == nil {
			if g, err = m.Restore(c.Context(), n); errors.Is(err, persist.ErrNoGeneration) {
				return notFound(err)
			} else if err != nil {
				return err
			}
		} else {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("%q is neither the number of a generation nor a file that can be read: %w", args[0], err)
			}
			defer f.Close()
			if g, err = m.Import(c.Context(), f, args[0]); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.out, "generation %d is in force from the next boot on; nothing is saved until then. Reboot when it suits.\n", g.Number)
		return nil
	}
	return c
}

func (a *app) configBackup() *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write the settings of this appliance to a file", Args: cobra.ExactArgs(1),
		Long: `Save the settings, and write them to a file that 'esos config restore' reads, on
this appliance or one that is to take its place; - is standard output. The file
has all secrets that the settings have: only root can read it, and nobody else
should.

It needs root and the medium, and not the daemon.`,
		Example: "  esos config backup /tmp/array1.esos-settings\n  ssh root@array esos config backup - > array1.esos-settings",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := settings("back the settings up")
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := m.Backup(c.Context(), a.out)
				return err
			}
			f, err := renameio.NewPendingFile(args[0], renameio.WithPermissions(0o600))
			if err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			defer func() { _ = f.Cleanup() }() // nothing is left of one that failed
			g, err := m.Backup(c.Context(), f)
			if err != nil {
				return err
			}
			if err := f.CloseAtomicallyReplace(); err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			fmt.Fprintf(a.out, "%s has the settings of generation %d: %d entries, with all their secrets\n", args[0], g.Number, g.Files)
			return nil
		},
	}
}

func (a *app) configFactoryReset() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "factory-reset", Short: "Have the next boot come up as from the factory", Args: cobra.NoArgs,
		Long: `Have the next boot come up as the first one did: with the document and the SSH keys
that the medium was made with, if any, and with new passwords and identities. What
is saved is kept as older generations, which 'esos config restore' brings back.
Disks and image files are not touched.

It needs root and the medium, and not the daemon.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := settings("reset the settings")
			if err != nil {
				return err
			}
			if !yes {
				if err := a.confirm("From the next boot on this array serves only what its medium was made with, and knows none of its users. Go on?"); err != nil {
					return err
				}
			}
			g, err := m.Reset(c.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "the next boot (generation %d) is one as from the factory; 'esos config restore %d' brings back what is now, 'esos config restore --undo' calls it off\n", g.Number, g.Number-1)
			return nil
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

// backup is `esos config backup` by the name that administrators look for.
func (a *app) backup() *cobra.Command {
	c := a.configBackup()
	c.Short = "Write the settings of this appliance to a file (esos config backup)"
	return c
}

func (a *app) mediumAdopt() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "adopt", Short: "Take another medium for the one that was lost", Args: cobra.NoArgs,
		Long: `Take another medium of ESOS, which 'mkesos write' made, for the one that this
appliance was booted from and that was lost. Settings are saved to it at once, and
the next boot can be from it. It needs root, and not the daemon.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := settings("adopt a medium")
			if err != nil {
				return err
			}
			device, saved, err := m.Adopt(c.Context(), yes)
			var strange *machine.StrangeError
			if errors.As(err, &strange) {
				return codeError{err, exitConflict}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s is this appliance's medium now; it has its settings as generation %d\n", device, saved.Generation.Number)
			return nil
		},
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "also one that has the settings of another machine")
	return c
}

// confirm asks a question that has to be answered with yes. Without a terminal
// there is nobody to ask.
func (a *app) confirm(question string) error {
	if !a.terminal() {
		return usageError{fmt.Errorf("%s Say --yes", question)}
	}
	answer, err := a.ask(question + " [y/N] ")
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return codeError{errors.New("not confirmed: nothing was changed"), exitInterrupted}
	}
	return nil
}
