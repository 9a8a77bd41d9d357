package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
)

func (a *app) drift() *cobra.Command {
	c := &cobra.Command{
		Use: "drift", Short: "What somebody changed by hand, not by esos", Args: cobra.NoArgs,
		Long: `Show what of the machine is otherwise than the document in force says, since
somebody used targetcli, scstadmin or the like. It is left as it is until one of
the two commands below deals with it: by changes of something else, by restarts
of the daemon, and also if it is a target or disk that ESOS knows nothing of.`,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			p, err := c.Drift(ctx)
			if err != nil {
				return err
			}
			return a.showDrift(p)
		}),
	}
	c.AddCommand(a.driftChange(client.AdoptDrift, "adopt [OBJECT...]", "Write what was changed by hand into the document",
		`Write into the document what somebody changed by hand, as it is: all of it, or the
objects that are named as 'esos drift' names them. It becomes a revision of the
document like every change; the machine is not touched. CHAP secrets that were
changed go into the document, and are not shown.

What documents have no word for is refused: it can be undone only, or changed into
something that they have a word for.`,
		"  esos drift adopt --why 'a LUN for the new mail server'\n  esos drift adopt lun/iqn.2026-11.com.example:disk/hosts/3"),
		a.driftChange(client.RevertDrift, "revert [OBJECT...]", "Undo what was changed by hand",
			`Make the machine again what the document in force says: all of it, or the objects
that are named as 'esos drift' names them. What was added by hand is taken away,
and those who use it are cut off: the plan says how many. A target or disk that
somebody else set up whole is left until it is named with --destroy, too.`,
			"  esos drift revert\n  esos drift revert target/iqn.2026-11.com.example:old --destroy target/iqn.2026-11.com.example:old"))
	return c
}

func (a *app) showDrift(p v1.Plan) error {
	if a.output != asTable {
		return a.print(append([]v1.Drift{}, p.Drift...), nil)
	}
	if len(p.Drift) == 0 {
		fmt.Fprintln(a.out, "nothing was changed by hand")
		return nil
	}
	for _, d := range p.Drift {
		fmt.Fprintf(a.out, "%s %s: %s\n", map[string]string{"added": "+", "changed": "~", "missing": "-"}[d.What], clean(d.Object), clean(d.Message))
		for _, f := range d.Fields {
			fmt.Fprintf(a.out, "      %s\n", clean(driftField(d, f)))
		}
	}
	fmt.Fprintln(a.out, "'esos drift adopt' writes it into the document, 'esos drift revert' undoes it; both take the names of objects.")
	return nil
}

func driftField(d v1.Drift, f v1.FieldChange) string {
	show := func(s string) string {
		if s == "" {
			return "(default)"
		}
		return s
	}
	switch {
	case d.What == "added":
		return f.Field + ": " + f.New
	case f.Old == f.New:
		return f.Field + ": changed" // a secret
	}
	return f.Field + ": declared " + show(f.Old) + ", is " + show(f.New)
}

// driftChange makes a command that deals with drift.
func (a *app) driftChange(way, use, short, long, example string) *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example}
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	c.Flags().StringVar(&f.why, "why", "", "`reason`, kept in the history")
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "show the plan and change nothing")
	if way == client.RevertDrift {
		c.Flags().StringSliceVar(&f.destroy, "destroy", nil, "`object` that may be destroyed, such as target/NAME (more than once, or with commas)")
	}
	c.ValidArgsFunction = a.completeDrift
	c.RunE = func(c *cobra.Command, objects []string) error {
		ctx := c.Context()
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		now, err := cl.Status(ctx)
		if err != nil {
			return err
		}
		if f.why == "" {
			f.why = strings.Join(append([]string{c.CommandPath()}, objects...), " ")
		}
		change := v1.DriftChange{Objects: objects, Why: f.why, Destroy: f.destroy}
		p, err := cl.PlanDrift(ctx, way, change)
		if err != nil {
			return err
		}
		if f.dryRun {
			return a.showPlan(p)
		}
		if len(p.Adopts) > 0 {
			fmt.Fprint(a.notes(), p.Text)
		}
		return a.carryOut(ctx, cl, p, f, true, func() (v1.Operation, error) {
			change.Destroy = f.destroy
			return cl.ChangeDrift(ctx, way, change, now.Revision.ETag)
		})
	}
	return c
}

// completeDrift completes the names of what was changed by hand.
func (a *app) completeDrift(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	cl, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer cl.Close()
	p, err := cl.Drift(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var match []string
	for _, d := range p.Drift {
		if strings.HasPrefix(d.Object, typed) {
			match = append(match, d.Object)
		}
	}
	return match, cobra.ShellCompDirectiveNoFileComp
}
