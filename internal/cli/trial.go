package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/internal/upgrade"
)

// upgradeState is what `esos upgrade status -o json` prints.
type upgradeState struct {
	Running   slot.Name       `json:"running"`
	Version   string          `json:"version"`
	Default   slot.Name       `json:"default"`
	Trial     slot.Name       `json:"trial,omitempty"`
	BootsLeft *int            `json:"boots_left,omitempty"`
	OnTrial   bool            `json:"on_trial"` // this boot
	Passed    bool            `json:"passed"`   // it was found healthy
	Waits     []string        `json:"waits,omitempty"`
	Last      *upgrade.Record `json:"last,omitempty"`
}

func (a *app) upgradeStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what is tried, and how the last upgrade went", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := slots("look at the medium")
			if err != nil {
				return err
			}
			b, err := m.Boots(c.Context())
			if err != nil {
				return mediumGone(err)
			}
			s := upgradeState{Running: m.Running(), Version: m.Report.Version, Default: b.Default, Trial: b.Trial,
				OnTrial: m.OnTrial() && b.Trial == m.Running(), Passed: upgrade.Passed()}
			if b.Trial != "" {
				s.BootsLeft = &b.Left
			}
			if s.OnTrial {
				if s.Waits, err = upgrade.Waits(); err != nil {
					return err
				}
			}
			if s.Last, err = upgrade.ReadRecord(m.Record); err != nil {
				return err
			}
			return a.print(s, func(t *table) { s.fill(t) })
		},
	}
}

func (s upgradeState) fill(t *table) {
	t.pair("Running", fmt.Sprintf("ESOS %s, slot %s", s.Version, s.Running))
	t.pair("Default", fmt.Sprintf("slot %s", s.Default))
	switch {
	case s.OnTrial && s.Passed:
		t.pair("Trial", "this system is healthy; it becomes the default as soon as the medium can be written")
	case s.OnTrial:
		t.pair("Trial", "this system is on trial")
	case s.Trial != "":
		t.pair("Trial", fmt.Sprintf("the next boot tries slot %s", s.Trial))
	default:
		t.pair("Trial", "none")
	}
	if s.BootsLeft != nil {
		t.pair("Boots left", *s.BootsLeft)
	}
	for _, w := range s.Waits {
		t.pair("Waits for", w)
	}
	if r := s.Last; r != nil {
		what := "upgrade"
		if r.Rollback {
			what = "rollback"
		}
		t.pair("Last", fmt.Sprintf("%s from ESOS %s to %s, slot %s, prepared %s", what, r.From, r.Version, r.Slot, when(r.When)))
		if r.Failed != nil {
			t.pair("Failed", when(r.Failed.When)+": "+r.Failed.Why)
		}
	}
}

func (a *app) upgradeConfirm() *cobra.Command {
	return &cobra.Command{
		Use: "confirm", Short: "Make the system that runs the default, whatever its trial found", Args: cobra.NoArgs,
		Long: `Make the system that runs the one that boots from now on. A system on trial does so
itself once it is healthy; this says so in its place.`,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := slots("change what boots")
			if err != nil {
				return err
			}
			if err := m.Confirm(c.Context()); err != nil {
				return mediumGone(err)
			}
			if err := upgrade.Pass(); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "slot %s (ESOS %s) is the default\n", m.Running(), m.Report.Version)
			return nil
		},
	}
}

func (a *app) upgradeDismiss() *cobra.Command {
	return &cobra.Command{
		Use: "dismiss", Short: "Take the alert of a failed upgrade away", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			m, err := slots("dismiss the alert")
			if err != nil {
				return err
			}
			r, err := upgrade.ReadRecord(m.Record)
			if err != nil {
				return err
			}
			if r == nil || r.Failed == nil {
				fmt.Fprintln(a.out, "no changes: no upgrade failed")
				return nil
			}
			if err := m.Forget(); err != nil {
				return err
			}
			fmt.Fprintln(a.out, "dismissed")
			return nil
		},
	}
}

// upgradeGiveUp is what esos-trial.service runs before it reboots.
func (a *app) upgradeGiveUp() *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "give-up", Short: "Leave word of why a trial ends", Args: cobra.NoArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := slots("leave word of the trial")
			if err != nil {
				return err
			}
			if why == "" {
				why = whyNot(c.Context())
			}
			return mediumGone(m.GiveUp(c.Context(), why))
		},
	}
	c.Flags().StringVar(&why, "why", "", "the reason, instead of what is found")
	return c
}

// whyNot is what keeps this system from being healthy.
func whyNot(ctx context.Context) string { return upgrade.WhyUnhealthy(ctx) }
