package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/attach"
	"github.com/esos-project/esos/internal/medium/disk"
)

func (a *app) medium() *cobra.Command {
	c := &cobra.Command{Use: "medium", Short: "The stick or disk that this appliance was booted from"}
	status := &cobra.Command{
		Use: "status", Short: "Show the boot medium", Args: cobra.NoArgs,
		Long: `Show the stick or disk that this appliance was booted from, wherever it is now. If
it was pulled, or is broken, the command fails: the array serves on, but settings
cannot be saved. It needs root, and not the daemon.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := findMedium(c.Context(), "look at the boot medium")
			if err != nil {
				return err
			}
			return a.printMedium(m)
		},
	}
	grow := &cobra.Command{
		Use: "grow", Short: "Give the boot medium all of its drive", Args: cobra.NoArgs,
		Long: `Give the boot medium all of its drive: esos_logs grows to the end; on a drive of
more than 128 GiB to 64 GiB, and esos_data gets the rest. It is done at the first
boot, and does nothing where nothing is to do. It needs root.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := findMedium(c.Context(), "grow the boot medium")
			if err != nil {
				return err
			}
			if !m.Partitioned() {
				fmt.Fprintf(a.out, "no changes: each partition of the medium is a mirror of its own (%s): grow these with mdadm\n", m.Disk)
				return nil
			}
			release, err := attach.Hold(c.Context(), medium.LabelLogs)
			if err != nil {
				return fmt.Errorf("grow the boot medium: %w", err)
			}
			defer func() { _ = release() }() // the end of the program does, too
			did, err := medium.Grow(c.Context(), medium.HostTools{}, disk.This(), m.Disk)
			for _, d := range did {
				fmt.Fprintln(a.out, d)
			}
			if err == nil && len(did) == 0 {
				fmt.Fprintln(a.out, "no changes: it has all of its drive")
			}
			return err
		},
	}
	c.AddCommand(status, grow, a.mediumAdopt())
	return c
}

// findMedium finds the medium to do something with it, which only root may.
func findMedium(ctx context.Context, what string) (medium.Running, error) {
	if os.Geteuid() != 0 {
		return medium.Running{}, codeError{fmt.Errorf("%s: only root may read it; use sudo", what), exitDenied}
	}
	m, err := medium.NewFinder().Find(ctx)
	if errors.Is(err, medium.ErrNoMedium) {
		return m, notFound(err)
	}
	if errors.Is(err, medium.ErrAbsent) {
		return m, codeError{fmt.Errorf("%s: %w", what, err), exitMedium}
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", what, err)
	}
	return m, nil
}

func (a *app) printMedium(m medium.Running) error {
	return a.print(m, func(t *table) {
		t.pair("Disk", m.Disk)
		t.pair("Model", m.Model)
		t.pair("Serial", m.Serial)
		t.pair("Size", disk.HumanSize(m.Size))
		t.pair("Mirrored", yesNo(m.Mirrored))
		t.pair("UUID", m.UUID)
		labels := make([]string, 0, len(m.Partitions))
		for label := range m.Partitions {
			labels = append(labels, label)
		}
		slices.Sort(labels)
		for _, label := range labels {
			p := m.Partitions[label]
			s := p.Device + ", " + disk.HumanSize(p.Size)
			if p.Mounted != "" {
				s += ", mounted at " + p.Mounted
			}
			t.pair(label, s)
		}
	})
}
