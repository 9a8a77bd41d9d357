package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/medium/stick"
	"github.com/esos-project/esos/internal/upgrade"
)

func (a *app) rollback() *cobra.Command {
	var settings string
	var reboot bool
	c := &cobra.Command{
		Use: "rollback", Short: "Boot the other version of ESOS on the medium from now on", Args: cobra.NoArgs,
		Long: `Have the next boot take the other slot: the version that ran before an upgrade. It
is read and checked to the last byte first; one that is damaged is refused. Like an
upgrade it is tried: if it does not get healthy, the machine comes back to this one.

Settings are the newest (now), or those that the other slot last ran with (then).
What was written to disks is not touched either way.`,
		Example: "  esos rollback --reboot\n  esos rollback --settings then",
	}
	c.Flags().StringVar(&settings, "settings", "now", "the settings that it begins with: now or then")
	c.Flags().BoolVar(&reboot, "reboot", false, "reboot into it at once")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if settings != "now" && settings != "then" {
			return usageError{fmt.Errorf("--settings %s: want now or then", settings)}
		}
		m, err := slots("roll back")
		if err != nil {
			return err
		}
		bar := stick.NewBar(a.err, isTerminal(a.err))
		m.Progress = bar.Progress
		manifest, err := m.Rollback(c.Context(), settings == "then", a.serving(c.Context()))
		bar.End()
		if err != nil {
			return mediumGone(err)
		}
		fmt.Fprintf(a.out, "ESOS %s in slot %s is whole. The next boot tries it.\n", manifest.Version, m.Other())
		return a.rebootOr(c.Context(), reboot)
	}
	return c
}

func (a *app) slot() *cobra.Command {
	c := &cobra.Command{Use: "slot", Short: "The two copies of ESOS on the medium"}
	var verify bool
	list := &cobra.Command{
		Use: "list", Short: "Show both slots", Args: cobra.NoArgs,
		Long: `Show both slots: which version is in them, which one runs, which one is booted by
default, and whether they are whole. With --verify every byte of them is read and
checked. It needs root, and not the daemon.`,
	}
	list.Flags().BoolVar(&verify, "verify", false, "read and check every byte")
	list.RunE = func(c *cobra.Command, _ []string) error {
		m, err := slots("look at the slots")
		if err != nil {
			return err
		}
		bar := stick.NewBar(a.err, isTerminal(a.err))
		m.Progress = bar.Progress
		all, err := m.Slots(c.Context(), verify)
		bar.End()
		if err != nil {
			return mediumGone(err)
		}
		return a.print(all, func(t *table) {
			t.head("slot", "version", "built", "kernel", "settings", "state")
			for _, s := range all {
				generation := ""
				if s.Generation > 0 {
					generation = fmt.Sprint(s.Generation)
				}
				t.row(s.Slot, s.Version, when(s.Built), s.Kernel, generation, slotState(s))
			}
		})
	}
	c.AddCommand(list)
	return c
}

// slotState is a slot's state in a few words.
func slotState(s upgrade.SlotInfo) string {
	var text string
	add := func(word string) {
		if text != "" {
			text += ", "
		}
		text += word
	}
	if s.Running {
		add("running")
	}
	if s.Default {
		add("default")
	}
	if s.Left != nil {
		add(fmt.Sprintf("on trial, %d boots left", *s.Left))
	}
	switch {
	case s.Damage != "":
		add("DAMAGED: " + s.Damage)
	case s.Verified:
		add("verified")
	}
	return text
}
