package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
)

func (a *app) plan() *cobra.Command {
	var file string
	var destroy []string
	var code bool
	c := &cobra.Command{
		Use:   "plan [-f FILE | FILE]",
		Short: "Show what a document would change",
		Long: `Show what would be done to make the array what a document says, in which order,
and what that would destroy. What somebody changed by hand is shown apart from
that ('esos drift' deals with it). Without a document, show what would make the
array again what the document in force says. Nothing is changed.`,
		Example: "  esos plan -f esos.yaml\n  esos config show | sed s/10GiB/20GiB/ | esos plan -f -\n  esos plan",
		Args:    cobra.MaximumNArgs(1),
	}
	c.Flags().StringVarP(&file, "file", "f", "", "document, - is standard input")
	c.Flags().StringSliceVar(&destroy, "destroy", nil, "`object` that the change would name, such as image/db01 (more than once, or with commas)")
	c.Flags().BoolVar(&code, "exit-code", false, "exit with 10 if there are changes")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			if file != "" {
				return usageError{errors.New("name one document, with -f or without")}
			}
			file = args[0]
		}
		var text []byte
		if file != "" {
			var err error
			if text, err = a.readDocument(file); err != nil {
				return err
			}
		}
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		p, err := planOf(c.Context(), cl, file != "", text, destroy)
		if err != nil {
			return err
		}
		if err := a.showPlan(p); err != nil {
			return err
		}
		if code && len(p.Steps) > 0 {
			return codeError{errSilent, exitDiffers}
		}
		return nil
	}
	return c
}

// planOf plans a document, or without one what would undo drift.
func planOf(ctx context.Context, cl *client.Client, given bool, text []byte, destroy []string) (v1.Plan, error) {
	if given {
		return cl.Plan(ctx, text, destroy)
	}
	return cl.PlanDrift(ctx, client.RevertDrift, v1.DriftChange{Destroy: destroy})
}

func (a *app) showPlan(p v1.Plan) error {
	if a.output != asTable {
		return a.print(p, nil)
	}
	fmt.Fprint(a.out, p.Text)
	if len(p.Needs) > 0 {
		fmt.Fprintf(a.out, "To carry this out, name what may be destroyed:%s\n", destroyFlags(p.Needs))
	}
	return nil
}

func (a *app) apply() *cobra.Command {
	var file string
	f := &changeFlags{}
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the array what a document says",
		Long: `Show the plan, ask (on a terminal), and carry it out. If a step fails, the ones
before it are undone and the document that was in force stays. A step that would
destroy something is refused until its object is named with --destroy.

A document that reads (secret) where a secret belongs keeps the secret that the
array has there: what 'esos config show' prints can be edited and applied.`,
		Example: "  esos apply -f esos.yaml --why 'two more disks for the mail server'\n  esos apply -f esos.yaml --yes --destroy device/db01",
		Args:    cobra.NoArgs,
	}
	c.Flags().StringVarP(&file, "file", "f", "", "document, - is standard input (needed)")
	f.add(c)
	var ifMatch string
	c.Flags().StringVar(&ifMatch, "if-match", "", "only if the document in force still has this `ETag` (esos config history shows it)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if file == "" {
			return usageError{errors.New("which document? name it with -f FILE")}
		}
		text, err := a.readDocument(file)
		if err != nil {
			return err
		}
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		etag := ifMatch
		if etag == "" {
			// What is in force now: the plan that is shown is based on it.
			now, err := cl.Status(c.Context())
			if err != nil {
				return err
			}
			etag = now.Revision.ETag
		}
		return a.change(c.Context(), cl, text, etag, f, true)
	}
	return c
}
