package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) snapshot() *cobra.Command {
	c := &cobra.Command{
		Use: "snapshot", Aliases: []string{"snapshots"}, Short: "Snapshots of devices, and clones of them",
		Long: `Snapshots of devices on thin volumes, of any number at one moment, and of devices
with an image file on xfs or btrfs. They hold what a power cut would have left:
programs that survive that can use them.`,
		Example: "  esos snapshot create before-upgrade db01 db02\n  esos snapshot clone db01@before-upgrade-20261128-120000 --to test\n" +
			"  esos snapshot schedule create nightly db01 db02 --every daily --at 02:30 --keep 14",
	}
	c.AddCommand(a.snapshotList(), a.snapshotCreate(), a.snapshotDelete(), a.snapshotClone(), a.snapshotSchedule())
	return c
}

func (a *app) snapshotList() *cobra.Command {
	return &cobra.Command{
		Use: "list [DEVICE...]", Short: "List the snapshots, all or those of some devices", ValidArgsFunction: a.completeDevices,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			all, err := c.Snapshots(ctx)
			if err != nil {
				return err
			}
			for _, p := range all.Problems {
				fmt.Fprintf(a.err, "warning: %s\n", clean(p))
			}
			list := all.Snapshots
			if len(args) > 0 {
				list = slices.DeleteFunc(list, func(s v1.Snapshot) bool { return !slices.Contains(args, s.Device) })
			}
			return a.print(list, func(t *table) { snapshotRows(t, list) })
		}),
	}
}

func snapshotRows(t *table, list []v1.Snapshot) {
	t.head("snapshot", "taken", "size", "schedule", "used by", "path")
	for _, s := range list {
		t.row(s.Device+"@"+s.Name, when(s.Taken), sizeText(config.Size(s.Size)), s.Schedule, strings.Join(s.UsedBy, ", "), s.Path)
	}
}

func (a *app) snapshotCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME DEVICE...", Short: "Take snapshots of devices, all of one moment", Args: cobra.MinimumNArgs(2),
		Long: `Take snapshots of devices, all of one moment: I/O of several is held for it, some
tenths of a second as a rule, and 10 s at the most. Their name is NAME and the time, in UTC.`,
		Example: "  esos snapshot create before-upgrade db01 db02",
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeDevices(c, args, typed)
		},
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			made, err := c.TakeSnapshot(ctx, args[1:], args[0])
			if err != nil {
				return err
			}
			return a.print(made, func(t *table) { snapshotRows(t, made) })
		}),
	}
}

// splitSnapshot takes DEVICE@NAME apart.
func splitSnapshot(id string) (device, name string, err error) {
	device, name, ok := strings.Cut(id, "@")
	if !ok || device == "" || name == "" {
		return "", "", usageError{fmt.Errorf("%q names no snapshot; it is DEVICE@NAME, as 'esos snapshot list' shows it", id)}
	}
	return device, name, nil
}

func (a *app) snapshotDelete() *cobra.Command {
	var destroy []string
	c := &cobra.Command{
		Use: "delete SNAPSHOT...", Short: "Delete snapshots", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeSnapshots,
		Long:    "Delete snapshots, DEVICE@NAME, that no device or clone uses. Each must be named with\n--destroy; at a terminal it is asked for.",
		Example: "  esos snapshot delete db01@before-20261128-120000 --destroy snapshot/db01@before-20261128-120000",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			for _, id := range args {
				device, name, err := splitSnapshot(id)
				if err != nil {
					return err
				}
				if err := a.deleteNamed(destroy, func(destroy []string) error { return c.DeleteSnapshot(ctx, device, name, destroy) }); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	c.Flags().StringSliceVar(&destroy, "destroy", nil, "`object` that may be destroyed: snapshot/DEVICE@NAME (more than once, or with commas)")
	return c
}

// deleteNamed deletes what must be named for that: on the command line, or when
// it is asked for.
func (a *app) deleteNamed(destroy []string, del func(destroy []string) error) error {
	err := del(destroy)
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Type != v1.ProblemDestroys {
		return err
	}
	if a.terminal() {
		for _, f := range refused.Errors {
			fmt.Fprintf(a.err, "%s\n", clean(f.Message))
		}
	}
	f := &changeFlags{destroy: slices.Clone(destroy)}
	if err := a.consent(v1.Plan{Needs: refused.Needs}, f, false); err != nil {
		return err
	}
	return del(f.destroy)
}

func (a *app) completeSnapshots(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	cl, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer cl.Close()
	all, _ := cl.Snapshots(c.Context()) // without an array there is nothing to propose
	for _, s := range all.Snapshots {
		if id := s.Device + "@" + s.Name; !slices.Contains(args, id) {
			names = append(names, id)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) snapshotSchedule() *cobra.Command {
	c := &cobra.Command{Use: "schedule", Aliases: []string{"schedules"}, Short: "Snapshots that are taken by themselves"}
	list := &cobra.Command{
		Use: "list", Short: "List the schedules", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.Storage.Snapshots, func(t *table) {
				t.head("name", "every", "at (utc)", "keep", "devices")
				for _, n := range doc.Storage.Snapshots {
					t.row(n.Name, n.Every, n.At, n.Keep, strings.Join(n.Devices, ", "))
				}
			})
		}),
	}
	n := config.Snapshots{}
	create := &cobra.Command{
		Use: "create NAME DEVICE...", Short: "Have snapshots taken by themselves", Args: cobra.MinimumNArgs(2),
		Long: `Have snapshots of devices taken by themselves, all of one moment, and the older ones
deleted. Times are UTC. One that was missed, since the machine was off, is taken
at the next start.`,
		Example: "  esos snapshot schedule create nightly db01 db02 --every daily --at 02:30 --keep 14\n  esos snapshot schedule create often mail --every 15m --keep 96",
	}
	create.Flags().StringVar(&n.Every, "every", "daily", "hourly, daily, weekly (Sundays), monthly (the first), or a time like 15m or 6h")
	create.Flags().StringVar(&n.At, "at", "", "time of day (HH:MM, UTC) of daily, weekly and monthly ones (default 00:00)")
	create.Flags().IntVar(&n.Keep, "keep", 7, "how many are kept")
	remove := &cobra.Command{
		Use: "delete NAME...", Short: "Delete schedules; their snapshots stay", Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeNames(func(doc *config.Document, _ []string) (names []string) {
			for _, n := range doc.Storage.Snapshots {
				names = append(names, n.Name)
			}
			return names
		}),
	}
	c.AddCommand(list, a.edited(create, func(_ *cobra.Command, args []string, doc *config.Document) error {
		add := n
		add.Name, add.Devices = args[0], args[1:]
		return doc.AddSnapshots(add)
	}), a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemoveSnapshots(name); err != nil {
				return err
			}
		}
		return nil
	}))
	return c
}
