package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// listedLUN is a LUN with where it is; Group "" is the target's default map.
type listedLUN struct {
	Target string `json:"target"`
	Group  string `json:"group"`
	config.LUN
}

func (a *app) lun() *cobra.Command {
	c := &cobra.Command{Use: "lun", Aliases: []string{"luns"}, Short: "LUNs: which initiators see which devices"}
	c.AddCommand(a.lunList(), a.lunMap(), a.lunUnmap())
	return c
}

func (a *app) lunList() *cobra.Command {
	return &cobra.Command{
		Use: "list [TARGET]", Short: "List the LUNs", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeTargets,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			targets, err := someTargets(doc, args)
			if err != nil {
				return err
			}
			all := []listedLUN{}
			for _, t := range targets {
				for _, l := range t.LUNs {
					all = append(all, listedLUN{t.Name, "", l})
				}
				for _, g := range t.Groups {
					for _, l := range g.LUNs {
						all = append(all, listedLUN{t.Name, g.Name, l})
					}
				}
			}
			return a.print(all, func(t *table) {
				t.head("target", "group", "lun", "device", "access")
				for _, l := range all {
					group, access := l.Group, "read-write"
					if group == "" {
						group = "(default)"
					}
					if l.ReadOnly {
						access = "read-only"
					}
					t.row(l.Target, group, l.LUN.LUN, l.Device, access)
				}
			})
		}),
	}
}

func (a *app) lunMap() *cobra.Command {
	var group string
	var number int
	var readOnly bool
	c := &cobra.Command{
		Use:   "map TARGET DEVICE",
		Short: "Map a device to a LUN",
		Long: `Map a device to a LUN of a host group (--group), or of the default map, for
initiators that no group matches. Without --lun it gets the lowest free number.`,
		Example: "  esos lun map mail db01 --group hosts\n  esos lun map mail db01 --lun 7 --read-only",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: a.completeNames(func(doc *config.Document, args []string) []string {
			switch len(args) {
			case 0:
				return targetNames(doc)
			case 1:
				return deviceNames(doc)
			}
			return nil
		}),
	}
	c.Flags().StringVarP(&group, "group", "g", "", "host group (default: the default map)")
	c.Flags().IntVarP(&number, "lun", "l", -1, "number, 0 to 16383 (default: the lowest that is free)")
	c.Flags().BoolVar(&readOnly, "read-only", false, "these initiators can only read")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		l := config.LUN{LUN: number, Device: args[1], ReadOnly: readOnly}
		luns, err := doc.LUNMap(t.Name, group)
		if err != nil {
			return err
		}
		for i, have := range *luns {
			if have.LUN != number {
				continue
			}
			if have.Device != l.Device {
				return codeError{fmt.Errorf("LUN %d of target %s leads to device %s already; unmap it first, or choose another number", number, t.Name, have.Device), exitConflict}
			}
			(*luns)[i] = l // perhaps with another access
			return nil
		}
		_, err = doc.MapLUN(t.Name, group, l)
		return err
	})
}

func (a *app) lunUnmap() *cobra.Command {
	var group string
	c := &cobra.Command{Use: "unmap TARGET LUN...", Short: "Remove LUNs; devices stay", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeTargets,
		Example: "  esos lun unmap mail 7 --group hosts"}
	c.Flags().StringVarP(&group, "group", "g", "", "host group (default: the default map)")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		for _, arg := range args[1:] {
			n, err := strconv.Atoi(arg)
			if err != nil {
				return usageError{fmt.Errorf("%q is no LUN number", arg)}
			}
			if err := doc.UnmapLUN(t.Name, group, n); err != nil {
				return err
			}
		}
		return nil
	})
}
