package cli

import (
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) portal() *cobra.Command {
	c := &cobra.Command{Use: "portal", Aliases: []string{"portals"}, Short: "Addresses that initiators connect to"}
	list := &cobra.Command{
		Use: "list", Short: "List the portals", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.ISCSI.Portals, func(t *table) {
				t.head("name", "address", "group", "announced as", "iser")
				for _, p := range doc.ISCSI.Portals {
					t.row(p.Name, p.Address, max(p.Group, 1), p.Announce, yesNo(p.ISER))
				}
			})
		}),
	}
	var p config.Portal
	flags := func(c *cobra.Command) {
		c.Flags().IntVar(&p.Group, "group", 0, "portal group tag (default 1)")
		c.Flags().StringVar(&p.Announce, "announce", "", "host:port told in discovery instead (behind NAT)")
		c.Flags().BoolVar(&p.ISER, "iser", false, "serve iSCSI over RDMA, too (the address must be that of an RDMA device)")
	}
	create := &cobra.Command{
		Use: "create PORTAL ADDRESS", Short: "Create a portal", Args: cobra.ExactArgs(2),
		Long:    "Create a portal. ADDRESS is host:port or [v6]:port; an empty host is every address.",
		Example: "  esos portal create front1 192.0.2.10:3260\n  esos portal create all :3260",
	}
	flags(create)
	a.edited(create, func(_ *cobra.Command, args []string, doc *config.Document) error {
		p.Name, p.Address = args[0], args[1]
		return doc.AddPortal(p)
	})
	set := &cobra.Command{Use: "set PORTAL", Short: "Change a portal", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completePortals}
	var address string
	set.Flags().StringVar(&address, "address", "", "host:port or [v6]:port; sessions on the old one end")
	flags(set)
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		old, err := doc.FindPortal(args[0])
		if err != nil {
			return err
		}
		changed := false
		for name, copy := range map[string]func(){
			"address":  func() { old.Address = address },
			"group":    func() { old.Group = p.Group },
			"announce": func() { old.Announce = p.Announce },
			"iser":     func() { old.ISER = p.ISER },
		} {
			if c.Flags().Changed(name) {
				copy()
				changed = true
			}
		}
		if !changed {
			return usageError{errNothing}
		}
		return nil
	})
	remove := &cobra.Command{Use: "delete PORTAL...", Short: "Delete portals", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completePortals}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemovePortal(name); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, create, set, remove)
	return c
}

func (a *app) completePortals(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, _ []string) []string {
		var names []string
		for _, p := range doc.ISCSI.Portals {
			names = append(names, p.Name)
		}
		return names
	})(c, args, typed)
}
