package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/inventory"
)

func (a *app) array() *cobra.Command {
	c := &cobra.Command{
		Use: "array", Aliases: []string{"arrays"}, Short: "RAID arrays that disks are made into",
		Long: `RAID arrays (Linux's md) that disks are made into. An array is at /dev/md/NAME. Disks are
named by their path, or by their name in /dev/disk/by-id alone.`,
	}
	c.AddCommand(a.arrayList(), a.arrayShow(), a.arrayCreate(), a.arraySet(), a.arrayAddDisk(), a.arrayReplaceDisk(), a.arrayRemoveDisk(), a.arrayAddSpare(),
		a.arrayDelete(), a.arrayCheck(), a.arrayFail())
	return c
}

// readArrays reads the arrays that are declared, and how they are.
func (a *app) readArrays(ctx context.Context, c *client.Client) ([]inventory.Array, error) {
	d, err := c.Document(ctx, false)
	if err != nil {
		return nil, err
	}
	doc, err := config.Decode("the array's document", d.Text)
	if err != nil {
		return nil, err
	}
	now, err := c.Storage(ctx)
	if err != nil {
		fmt.Fprintf(a.err, "esos: warning: how the arrays are is not known: %s\n", clean(err.Error()))
	}
	return inventory.Arrays(doc, now.Arrays), nil
}

func (a *app) arrayList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the arrays", Args: cobra.NoArgs,
		Long: "List the arrays: those that the document declares, and those that disks are part of besides.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := a.readArrays(ctx, c)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "level", "disks", "size", "state", "path")
				for _, x := range all {
					size, n := "", len(x.Disks)
					if x.Now != nil {
						size, n = config.Size(x.Now.Size).Human(), max(n, x.Now.Disks)
					}
					t.row(x.Name, x.Level, n, size, x.State(), x.Path())
				}
			})
		}),
	}
}

func (a *app) arrayShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ARRAY", Short: "Show one array", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeArrays,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := a.readArrays(ctx, c)
			if err != nil {
				return err
			}
			for _, x := range all {
				if x.Name == args[0] || x.Now != nil && x.Now.UUID == args[0] {
					return a.print(x, func(t *table) { t.pairs(x.Pairs()) })
				}
			}
			return codeError{fmt.Errorf("array %q %w; 'esos array list' shows what there is", args[0], config.ErrNotFound), exitNotFound}
		}),
	}
}

func (a *app) arrayCheck() *cobra.Command {
	var repair, stop bool
	c := &cobra.Command{
		Use: "check ARRAY", Short: "Read all of an array and compare it, now", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeArrays,
		Long: `Read all of an array and compare its copies or its parity, now. It stays in use.
'esos array show' tells how far that is and what it found. Arrays are checked by
themselves, too (--check of 'esos array set').`,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			action := "check"
			switch {
			case repair && stop:
				return usageError{fmt.Errorf("--repair and --stop do not go together")}
			case repair:
				action = "repair"
			case stop:
				action = "idle"
			}
			return c.CheckArray(ctx, args[0], action)
		}),
	}
	c.Flags().BoolVar(&repair, "repair", false, "correct what differs, rather than counting it only")
	c.Flags().BoolVar(&stop, "stop", false, "end a check that is under way")
	return c
}

func (a *app) arrayFail() *cobra.Command {
	return &cobra.Command{
		Use: "fail ARRAY DISK", Short: "Take a disk of an array for failed", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeArrays,
		Long: `Take a disk of an array for failed: it is used no more, and a spare takes its place. An
array that would not work without the disk keeps it. 'esos array replace-disk' names
another one in its place.`,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			return c.FailDisk(ctx, args[0], args[1])
		}),
	}
}

func (a *app) completeArrays(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		var names []string
		for _, x := range doc.Storage.Arrays {
			names = append(names, x.Name)
		}
		return names
	})(c, args, typed)
}
