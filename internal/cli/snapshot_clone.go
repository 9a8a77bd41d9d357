package cli

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) snapshotClone() *cobra.Command {
	var to string
	var readOnly bool
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "clone SNAPSHOT --to DEVICE", Short: "Make a device of a snapshot", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSnapshots,
		Long: `Make a device of a snapshot. It shares the space of what it is made of, and is written
to like any other; with --read-only it is the snapshot itself, which is kept for as
long. It has an identity of its own, so that hosts tell it from the device that the
snapshot was taken of. Give it to a host group with 'esos lun map'.`,
		Example: "  esos snapshot clone db01@nightly-20261128-023000 --to test\n  esos snapshot clone db01@nightly-20261128-023000 --to yesterday --read-only",
	}
	c.Flags().StringVar(&to, "to", "", "name of the `device` that is made")
	c.Flags().BoolVar(&readOnly, "read-only", false, "serve the snapshot itself, which nobody can change")
	f.add(c)
	c.RunE = a.asking(func(ctx context.Context, cl *client.Client, args []string) error {
		if to == "" {
			return usageError{fmt.Errorf("say with --to how the device is to be called")}
		}
		f.why = cmp.Or(f.why, fmt.Sprintf("%s %s --to %s", c.CommandPath(), args[0], to))
		snap, err := findSnapshot(ctx, cl, args[0])
		if err != nil {
			return err
		}
		if snap.Volume != "" {
			return a.edit(ctx, f, func(doc *config.Document) error {
				return doc.CloneSnapshot(snap.Group, config.Volume{Name: snap.Volume, Pool: snap.Pool, Size: config.Size(snap.Size)}, to, readOnly)
			})
		}
		return a.cloneImage(ctx, cl, f, snap, to, readOnly)
	})
	return c
}

func findSnapshot(ctx context.Context, c *client.Client, id string) (v1.Snapshot, error) {
	device, name, err := splitSnapshot(id)
	if err != nil {
		return v1.Snapshot{}, err
	}
	all, err := c.Snapshots(ctx)
	if err != nil {
		return v1.Snapshot{}, err
	}
	i := slices.IndexFunc(all.Snapshots, func(s v1.Snapshot) bool { return s.Device == device && s.Name == name })
	if i < 0 {
		return v1.Snapshot{}, codeError{fmt.Errorf("snapshot %s: %w; 'esos snapshot list' shows all", id, config.ErrNotFound), exitInvalid}
	}
	return all.Snapshots[i], nil
}

// cloneImage copies the file of a snapshot, which takes no space and no time
// where blocks are shared, and adds a device with it to the document.
func (a *app) cloneImage(ctx context.Context, c *client.Client, f *changeFlags, snap v1.Snapshot, to string, readOnly bool) error {
	file := snap.Path
	if !readOnly {
		file = path.Join(path.Dir(path.Dir(snap.Path)), to+".img")
		if f.dryRun {
			fmt.Fprintf(a.notes(), "%s would be copied to %s first\n", snap.Path, file)
			return nil
		}
		op, err := c.CopyImage(ctx, snap.Path, file)
		if err != nil {
			return err
		}
		if err := a.follow(ctx, c, op); err != nil {
			return err
		}
	}
	return a.edit(ctx, f, func(doc *config.Document) error {
		return doc.AddDevice(config.Device{Name: to, Handler: config.FileIO, Path: file, ReadOnly: readOnly})
	})
}
