package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) multipath() *cobra.Command {
	c := &cobra.Command{
		Use: "multipath", Short: "Disks that are reached by several paths",
		Long: `Disks that are reached by several paths (Linux's dm-multipath). A disk that gets a name has
its paths gathered at /dev/mapper/NAME, where I/O goes on while one of them works. No
other disk is touched.`,
	}
	c.AddCommand(a.multipathList(), a.multipathEnable(), a.multipathDisable(), a.multipathName(), a.multipathUnname())
	return c
}

func (a *app) multipathList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List disks with several paths: those with a name, and those that could have one", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			now, err := c.Storage(ctx)
			if err != nil {
				return err
			}
			doc, err := c.Document(ctx, false)
			if err != nil {
				return err
			}
			declared, err := config.Decode("the array's document", doc.Text)
			if err != nil {
				return err
			}
			m := now.Multipath
			if err := a.print(m, func(t *table) { multipathTable(t, declared.Storage.Multipath.Maps, now) }); err != nil {
				return err
			}
			if m.Error != "" {
				fmt.Fprintf(a.err, "esos: warning: %s\n", clean(m.Error))
			}
			return nil
		}),
	}
}

func multipathTable(t *table, declared []config.MultipathMap, now v1.StorageState) {
	sizes := map[string]int64{}
	for _, d := range now.Disks {
		sizes[d.Name] = d.Size
	}
	t.head("name", "wwid", "size", "state", "paths")
	there := map[string]bool{}
	for _, m := range now.Multipath.Maps {
		there[m.WWID] = true
		works := 0
		var paths []string
		for _, p := range m.Paths {
			if p.Works {
				works++
			}
			paths = append(paths, p.Disk+" ("+p.State+")")
		}
		t.row(m.Name, m.WWID, sizeText(config.Size(sizes[m.DM])), fmt.Sprintf("%d of %d paths", works, len(m.Paths)), strings.Join(paths, ", "))
	}
	for _, m := range declared {
		if !there[m.WWID] {
			t.row(m.Name, m.WWID, "", "not there", "")
		}
	}
	for _, o := range now.Multipath.Others {
		t.row("", o.WWID, sizeText(config.Size(o.Size)), "not gathered", strings.Join(o.Disks, ", "))
	}
}

func (a *app) multipathEnable() *cobra.Command {
	var policy string
	c := &cobra.Command{
		Use: "enable", Short: "Gather the paths to disks that have a name", Args: cobra.NoArgs,
		Example: "  esos multipath enable --policy queue-length",
	}
	c.Flags().StringVar(&policy, "policy", "", "which path the next I/O takes: service-time, queue-length or round-robin (default: service-time, or what multipath-tools knows to be good for an array)")
	return a.edited(c, func(c *cobra.Command, _ []string, doc *config.Document) error {
		doc.Storage.Multipath.Enabled = true
		if c.Flags().Changed("policy") {
			doc.Storage.Multipath.Policy = policy
		}
		return nil
	})
}

func (a *app) multipathDisable() *cobra.Command {
	c := &cobra.Command{
		Use: "disable", Short: "Gather no paths any more", Args: cobra.NoArgs,
		Long: "Gather no paths any more, and forget the names of disks. It is refused while something\nstands on one of them.",
	}
	return a.edited(c, func(_ *cobra.Command, _ []string, doc *config.Document) error {
		doc.Storage.Multipath = config.Multipath{}
		return nil
	})
}

func (a *app) multipathName() *cobra.Command {
	c := &cobra.Command{
		Use: "name NAME WWID", Short: "Gather the paths to a disk at /dev/mapper/NAME", Args: cobra.ExactArgs(2),
		Long:    "Gather the paths to a disk at /dev/mapper/NAME. 'esos multipath list' shows the identifiers of\ndisks that are reached by several paths. A disk that nothing stands on can get another name.",
		Example: "  esos multipath name mail 36001405a1b2c3d4e5f60718293a4b5c6",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return doc.NameDisk(args[0], args[1])
	})
}

func (a *app) multipathUnname() *cobra.Command {
	c := &cobra.Command{
		Use: "unname NAME", Short: "Gather the paths to a disk no more", Args: cobra.ExactArgs(1),
		Long: "Gather the paths to a disk no more: each is a disk of its own then. It is refused while\nsomething stands on it.",
		ValidArgsFunction: a.completeNames(func(doc *config.Document, args []string) []string {
			var names []string
			for _, m := range doc.Storage.Multipath.Maps {
				if len(args) == 0 {
					names = append(names, m.Name)
				}
			}
			return names
		}),
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error { return doc.UnnameDisk(args[0]) })
}
