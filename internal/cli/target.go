package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) target() *cobra.Command {
	c := &cobra.Command{Use: "target", Aliases: []string{"targets"}, Short: "Targets: what initiators log in to"}
	c.AddCommand(a.targetList(), a.targetShow(), a.targetCreate(), a.targetSet(), a.targetSwitch("enable", false), a.targetSwitch("disable", true), a.targetLIP(), a.targetDelete())
	return c
}

func (a *app) targetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the targets", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.Targets, func(t *table) {
				t.head("name", "enabled", "portals", "groups", "luns", "auth", "driver")
				for _, g := range doc.Targets {
					luns := len(g.LUNs)
					for _, h := range g.Groups {
						luns += len(h.LUNs)
					}
					t.row(g.Name, yesNo(!g.Disabled), reachedBy(g), len(g.Groups), luns, authText(g.Auth), g.WithDefaults().Driver)
				}
			})
		}),
	}
}

// reachedBy names the portals of a target; one of another driver than iSCSI is
// a port itself.
func reachedBy(t config.Target) string {
	if !t.Driver.Portals() {
		return "-"
	}
	return portalsText(t.Portals)
}

func portalsText(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(names, ",")
}

func authText(u config.Auth) string {
	switch {
	case len(u.Users) == 0:
		return "none"
	case u.Mutual != nil:
		return "mutual CHAP"
	}
	return "CHAP"
}

func (a *app) targetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show TARGET", Short: "Show one target with its groups and LUNs", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeTargets,
		Long: "Show one target with its groups and LUNs. TARGET is its name, or what stands behind\nthe last colon of it if no other target has that.",
		RunE: a.reading(func(args []string, doc *config.Document) error {
			g, err := findTarget(doc, args[0])
			if err != nil {
				return err
			}
			return a.print(g, func(t *table) { targetTable(t, g) })
		}),
	}
}

func targetTable(t *table, g *config.Target) {
	t.pair("Name", g.Name)
	t.pair("Driver", fmt.Sprintf("%s (%s)", g.WithDefaults().Driver, g.Driver.Human()))
	t.pair("Alias", g.Alias)
	t.pair("Enabled", yesNo(!g.Disabled))
	t.pair("Portals", reachedBy(*g))
	t.pair("Redirect", g.Redirect)
	t.pair("Authentication", authText(g.Auth))
	attributePairs(t, "Attribute ", g.Attributes)
	for _, l := range g.LUNs {
		t.pair(fmt.Sprintf("LUN %d (default)", l.LUN), lunText(l))
	}
	for _, h := range g.Groups {
		t.pair("Group "+h.Name, strings.Join(h.Initiators, ", "))
		attributePairs(t, "  Attribute ", h.Attributes)
		for _, l := range h.LUNs {
			t.pair(fmt.Sprintf("  LUN %d", l.LUN), lunText(l))
		}
	}
}

func lunText(l config.LUN) string {
	if l.ReadOnly {
		return l.Device + " (read-only)"
	}
	return l.Device
}

// targetFlags are a target's attributes as flags.
type targetFlags struct {
	alias, redirect string
	portals, params []string
	attributes      []string
}

func (f *targetFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.alias, "alias", "", "what initiators show to people")
	c.Flags().StringVar(&f.redirect, "redirect", "", "host:port that logins are sent to instead")
	c.Flags().StringSliceVar(&f.portals, "portal", nil, "portal `name` it is reached by (all if none; more than once, or with commas)")
	c.Flags().StringArrayVarP(&f.params, "parameter", "p", nil, "`name=value` of a parameter, as esos.yaml has it, such as max_burst_length=1048576; no value: the default")
	attributeFlag(c, &f.attributes)
}

func (f *targetFlags) set(c *cobra.Command, t *config.Target) error {
	if c.Flags().Changed("alias") {
		t.Alias = f.alias
	}
	if c.Flags().Changed("redirect") {
		t.Redirect = f.redirect
	}
	if c.Flags().Changed("portal") {
		t.Portals = slices.DeleteFunc(f.portals, func(s string) bool { return s == "" })
	}
	if err := setAttributes(&t.Attributes, f.attributes); err != nil {
		return err
	}
	return setParameters(&t.Parameters, f.params)
}

func (a *app) targetCreate() *cobra.Command {
	f := &targetFlags{}
	var driver string
	c := &cobra.Command{
		Use:   "create TARGET",
		Short: "Create a target",
		Long: `Create a target. TARGET is an iSCSI name (iqn., eui. or naa.); a plain word becomes
` + config.OurNames + `WORD. With another driver it is a port of this machine:
the GID of an SRP port (ib_srpt), the WWPN of a Fibre Channel (qla2x00t) or FCoE
(fcst) port; or a name like naa.5001405b2a1c3d4e, where this machine itself is
the initiator (scst_local). Those are served by engine lio or scst.`,
		Example: "  esos target create mail\n  esos target create iqn.2026-11.com.example:mail --portal front1,front2\n" +
			"  esos target create 50:01:43:80:24:26:bb:b4 --driver qla2x00t",
		Args: cobra.ExactArgs(1),
	}
	f.add(c)
	c.Flags().StringVar(&driver, "driver", "", "transport: iscsi (default), ib_srpt, qla2x00t, fcst or scst_local")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		d := config.Driver(driver)
		t := config.Target{Name: config.NewTargetName(d, args[0]), Driver: d}
		if err := f.set(c, &t); err != nil {
			return err
		}
		return doc.AddTarget(t)
	})
}

func (a *app) targetSet() *cobra.Command {
	f := &targetFlags{}
	c := &cobra.Command{
		Use: "set TARGET", Short: "Change a target's attributes",
		Example: "  esos target set mail --portal front1\n  esos target set mail -p header_digest=CRC32C -p nop_in_interval=",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeTargets,
	}
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		return f.set(c, t)
	})
}

func (a *app) targetSwitch(verb string, disabled bool) *cobra.Command {
	c := &cobra.Command{Use: verb + " TARGET", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeTargets,
		Short: "Let initiators log in to a target"}
	if disabled {
		c.Short = "Let no initiator log in to a target, and end the sessions it has"
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		t.Disabled = disabled
		return nil
	})
}

func (a *app) targetDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete TARGET...", Short: "Delete targets with their groups and LUNs; devices stay",
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeTargets}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, arg := range args {
			t, err := findTarget(doc, arg)
			if err != nil {
				return err
			}
			if err := doc.RemoveTarget(t.Name); err != nil {
				return err
			}
		}
		return nil
	})
}
