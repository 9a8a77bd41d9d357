package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

// synced is what `esos sync -o json` prints.
type synced struct {
	Generation persist.Generation `json:"generation"`
	Unchanged  bool               `json:"unchanged"`
	Pruned     []int              `json:"pruned"`
	Warnings   []string           `json:"warnings"`
	Seconds    float64            `json:"seconds"`
}

func (a *app) sync() *cobra.Command {
	var reason string
	var last bool
	c := &cobra.Command{
		Use:   "sync",
		Short: "Save the appliance's settings to its medium now",
		Long: `Save the appliance's settings to the medium (the USB stick) that it was booted from.

The appliance runs from memory. What differs from its image under /etc, /var/lib,
/opt and /root is saved as a new generation: after each 'esos apply', at shutdown,
every eight hours, and by this command. If nothing changed, nothing is written.

It needs root, and not the daemon. If the medium is gone, it fails with exit code
9 and the array serves on; the daemon saves as soon as the medium is back.

With --last nothing is saved: it tells how the last save of this boot went, and needs
neither root nor the medium.`,
		Example: "  esos sync\n  esos sync --reason \"before the new switch\"",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVar(&reason, "reason", "esos sync", "why, for the list of generations")
	c.Flags().BoolVar(&last, "last", false, "tell how the last save went")
	c.RunE = func(c *cobra.Command, _ []string) error {
		m, err := machine.Here()
		switch {
		case last && (errors.Is(err, machine.ErrNoAppliance) || errors.Is(err, machine.ErrLive)):
			return notFound(err)
		case err != nil:
			return err
		case last:
			return a.printLast(m)
		}
		if os.Geteuid() != 0 {
			return codeError{errors.New("save the settings: only root may read all of them; use sudo"), exitDenied}
		}
		saved, err := m.Save(c.Context(), reason)
		var held *machine.HeldError
		if errors.As(err, &held) { // that was wanted: no timer and no shutdown fails for it
			fmt.Fprintf(a.err, "esos: %v\n", held)
			return nil
		}
		if err != nil {
			return err
		}
		for _, w := range saved.Warnings {
			fmt.Fprintf(a.err, "esos: warning: %s\n", w)
		}
		return a.printSynced(saved)
	}
	return c
}

func (a *app) printLast(m *machine.Machine) error {
	l, err := m.Last()
	if err != nil {
		return err
	}
	slot, version := m.Booted()
	return a.print(struct {
		Slot    string       `json:"slot"`
		Version string       `json:"version"`
		Last    machine.Last `json:"last"`
	}{slot, version, l}, func(t *table) {
		t.pair("Slot", slot)
		t.pair("Version", version)
		switch {
		case l.When.IsZero():
			t.pair("Last save", "none since the boot")
		case l.Error != "":
			t.pair("Last save", when(l.When)+", failed: "+l.Error)
		default:
			t.pair("Last save", fmt.Sprintf("%s, generation %d, %s", when(l.When), l.Generation, l.Reason))
		}
	})
}

func (a *app) printSynced(saved persist.Saved) error {
	g := saved.Generation
	if a.output != asTable {
		return a.print(synced{Generation: g, Unchanged: saved.Unchanged, Pruned: append([]int{}, saved.Pruned...),
			Warnings: append([]string{}, saved.Warnings...), Seconds: saved.Took.Seconds()}, nil)
	}
	text := fmt.Sprintf("saved as generation %d: %d entries, %d bytes on the medium, in %v\n", g.Number, g.Files, g.Archive, saved.Took.Round(time.Millisecond))
	if saved.Unchanged {
		text = fmt.Sprintf("no changes since generation %d of %s\n", g.Number, g.When.Local().Format(time.DateTime))
	}
	_, err := fmt.Fprint(a.out, text)
	return err
}
