package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) volumeGroup() *cobra.Command {
	c := &cobra.Command{Use: "volume-group", Aliases: []string{"volume-groups", "vg"}, Short: "LVM volume groups, which volumes are made of"}
	c.AddCommand(a.volumeGroupList(), a.volumeGroupShow(), a.volumeGroupCreate(), a.volumeGroupAddDevice(), a.volumeGroupRemoveDevice(), a.volumeGroupDelete())
	return c
}

func (a *app) completeVolumeGroups(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		var names []string
		for _, g := range doc.Storage.VolumeGroups {
			names = append(names, g.Name)
		}
		return names
	})(c, args, typed)
}

func (a *app) volumeGroupList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the volume groups", Args: cobra.NoArgs,
		Long: "List the volume groups: those that the document declares, and others that disks have.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			_, all, err := a.readGroups(ctx, c)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "size", "free", "volumes", "devices")
				for _, g := range all {
					size, free, n := "", "", len(g.Volumes)
					if g.Now != nil {
						size, free, n = config.Size(g.Now.Size).Human(), config.Size(g.Now.Free).Human(), max(n, len(g.Now.Volumes))
					}
					t.row(g.Name, size, free, n, strings.Join(g.Devices, " "))
				}
			})
		}),
	}
}

func (a *app) volumeGroupShow() *cobra.Command {
	return &cobra.Command{
		Use: "show GROUP", Short: "Show one volume group", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeVolumeGroups,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			doc, all, err := a.readGroups(ctx, c)
			if err != nil {
				return err
			}
			for _, g := range all {
				if g.Name == args[0] {
					return a.print(g, func(t *table) { g.show(t) })
				}
			}
			_, err = doc.FindVolumeGroup(args[0])
			return err
		}),
	}
}

func (g listedVolumeGroup) show(t *table) {
	t.pair("Name", g.Name)
	if n := g.Now; n != nil {
		t.pair("Size", config.Size(n.Size).Human())
		t.pair("Free", config.Size(n.Free).Human())
		t.pair("Devices missing", numberText(n.Missing))
	}
	t.pair("Devices", strings.Join(g.Devices, "\n\t"))
	t.pair("Extent size", sizeText(g.ExtentSize))
	t.pair("UUID", g.UUID)
	var names []string
	for _, v := range volumesOf([]listedVolumeGroup{g}) {
		names = append(names, fmt.Sprintf("%s (%s, %s)", v.Name, v.kind(), v.size()))
	}
	t.pair("Volumes", strings.Join(names, "\n\t"))
}

func (a *app) volumeGroupCreate() *cobra.Command {
	var extent, uuid string
	c := &cobra.Command{
		Use: "create GROUP DEVICE...", Short: "Create a volume group on devices",
		Long: `Create a volume group on devices: disks, arrays, encrypted devices. What is on them
is not overwritten, unless the plan asks to have them named with --destroy and they are.
With --uuid a group that is there already is taken up with what it holds.`,
		Example: "  esos volume-group create vg0 /dev/md/data\n  esos volume-group create old /dev/disk/by-id/ata-X --uuid Mb8Ple-tRMx-mZyE-ilYM-Yr2R-x3tJ-Zh7dC2",
		Args:    cobra.MinimumNArgs(2),
	}
	c.Flags().StringVar(&extent, "extent-size", "", "what space is handed out in (default 4MiB)")
	c.Flags().StringVar(&uuid, "uuid", "", "LVM's UUID of one that is there already")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		g := config.VolumeGroup{Name: args[0], Devices: args[1:], UUID: uuid}
		if err := parseSizes(sizeFlag{extent, &g.ExtentSize}); err != nil {
			return err
		}
		return doc.AddVolumeGroup(g)
	})
}

func (a *app) volumeGroupAddDevice() *cobra.Command {
	c := &cobra.Command{
		Use: "add-device GROUP DEVICE...", Short: "Add devices to a volume group",
		Example: "  esos volume-group add-device vg0 /dev/md/more",
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: a.completeVolumeGroups,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return doc.AddVolumeDevices(args[0], args[1:]...)
	})
}

func (a *app) volumeGroupRemoveDevice() *cobra.Command {
	c := &cobra.Command{
		Use: "remove-device GROUP DEVICE...", Short: "Empty devices and take them out of a volume group",
		Long: `Empty devices and take them out of a volume group. What lies on them is moved to the
group's other devices while it is used; without room there it is refused. To replace a
device, add the new one first.`,
		Example: "  esos volume-group remove-device vg0 /dev/disk/by-id/ata-X",
		Args:    cobra.MinimumNArgs(2), ValidArgsFunction: a.completeVolumeGroups,
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return doc.RemoveVolumeDevices(args[0], args[1:]...)
	})
}

func (a *app) volumeGroupDelete() *cobra.Command {
	var volumes bool
	c := &cobra.Command{
		Use: "delete GROUP...", Short: "Delete volume groups",
		Long: `Take volume groups out of the document. What they hold stays on their devices; it is
deleted if the group and each of its volumes are named: --destroy volume-group/GROUP
--destroy volume/GROUP/VOLUME.`,
		Example: "  esos volume-group delete old\n  esos volume-group delete old --volumes --destroy volume-group/old,volume/old/db01",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.completeVolumeGroups,
	}
	c.Flags().BoolVar(&volumes, "volumes", false, "also take its volumes out of the document")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			g, err := doc.FindVolumeGroup(name)
			if err != nil {
				return err
			}
			if len(g.Volumes) > 0 && !volumes {
				return codeError{fmt.Errorf("volume group %s has volumes; delete them first, or use --volumes", name), exitConflict}
			}
			if err := doc.RemoveVolumeGroup(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// sizeFlag is a flag that is a size, and where it goes; an empty one is not
// given.
type sizeFlag struct {
	text string
	to   *config.Size
}

func parseSizes(flags ...sizeFlag) error {
	for _, f := range flags {
		if f.text == "" {
			continue
		}
		size, err := config.ParseSize(f.text)
		if err != nil {
			return usageError{err}
		}
		*f.to = size
	}
	return nil
}
