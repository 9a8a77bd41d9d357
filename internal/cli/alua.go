package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) alua() *cobra.Command {
	c := &cobra.Command{
		Use: "alua", Short: "Asymmetric access: which paths to a device are the better ones",
		Long: `A device group ties devices to target groups. Each target group has targets and an
access state: active, nonoptimized, standby, unavailable, offline or
transitioning. Initiators with multipath follow it.`,
	}
	c.AddCommand(a.aluaList(), a.aluaCreate(), a.aluaSet(), a.aluaDelete(), a.aluaGroup())
	return c
}

func (a *app) aluaList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the device groups with their target groups", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.DeviceGroups, func(t *table) {
				t.head("device group", "devices", "target group", "id", "state", "preferred", "targets")
				for _, g := range doc.DeviceGroups {
					devices := strings.Join(g.Devices, ",")
					if len(g.TargetGroups) == 0 {
						t.row(g.Name, devices, "", "", "", "", "")
					}
					for _, tg := range g.TargetGroups {
						t.row(g.Name, devices, tg.Name, tg.ID, tg.WithDefaults().State, yesNo(tg.Preferred), strings.Join(targetsOf(tg), ","))
					}
				}
			})
		}),
	}
}

func targetsOf(g config.TargetGroup) []string {
	var names []string
	for _, t := range g.Targets {
		s := t.Name
		if t.RelativeID != 0 {
			s += fmt.Sprintf(" (peer, %d)", t.RelativeID)
		}
		names = append(names, s)
	}
	return names
}

func (a *app) aluaCreate() *cobra.Command {
	var devices []string
	c := &cobra.Command{Use: "create DEVICE-GROUP", Short: "Create a device group", Args: cobra.ExactArgs(1),
		Example: "  esos alua create pool1 --device db01,db02\n  esos alua group create pool1 local --id 1 --target mail"}
	c.Flags().StringSliceVar(&devices, "device", nil, "`device` of the group (more than once, or with commas)")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return doc.AddDeviceGroup(config.DeviceGroup{Name: args[0], Devices: devices})
	})
}

func (a *app) aluaSet() *cobra.Command {
	var add, remove []string
	c := &cobra.Command{Use: "set DEVICE-GROUP", Short: "Change the devices of a device group", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeALUA}
	c.Flags().StringSliceVar(&add, "add", nil, "`device` to add (more than once, or with commas)")
	c.Flags().StringSliceVar(&remove, "remove", nil, "`device` to take out (more than once, or with commas)")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		if len(add)+len(remove) == 0 {
			return usageError{errNothing}
		}
		g, err := doc.FindDeviceGroup(args[0])
		if err != nil {
			return err
		}
		g.Devices = slices.DeleteFunc(g.Devices, func(d string) bool { return slices.Contains(remove, d) })
		for _, d := range add {
			if !slices.Contains(g.Devices, d) {
				g.Devices = append(g.Devices, d)
			}
		}
		return nil
	})
}

func (a *app) aluaDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete DEVICE-GROUP...", Short: "Delete device groups; devices and targets stay", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeALUA}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemoveDeviceGroup(name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) aluaGroup() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Target groups of a device group, with their access states"}
	create := &cobra.Command{Use: "create DEVICE-GROUP TARGET-GROUP", Short: "Create a target group", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeALUA}
	var made targetGroupFlags
	made.add(create)
	a.edited(create, func(c *cobra.Command, args []string, doc *config.Document) error {
		g, err := doc.FindDeviceGroup(args[0])
		if err != nil {
			return err
		}
		tg := config.TargetGroup{Name: args[1], ID: g.NextID()}
		if err := made.set(c, doc, &tg); err != nil {
			return err
		}
		return doc.AddTargetGroup(g.Name, tg)
	})
	set := &cobra.Command{
		Use: "set DEVICE-GROUP TARGET-GROUP", Short: "Change a target group, such as its access state", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeALUA,
		Example: "  esos alua group set pool1 local --state nonoptimized",
	}
	var changed targetGroupFlags
	changed.add(set)
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		tg, err := doc.FindTargetGroup(args[0], args[1])
		if err != nil {
			return err
		}
		return changed.set(c, doc, tg)
	})
	remove := &cobra.Command{Use: "delete DEVICE-GROUP TARGET-GROUP", Short: "Delete a target group", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeALUA}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		return doc.RemoveTargetGroup(args[0], args[1])
	})
	c.AddCommand(create, set, remove)
	return c
}

// targetGroupFlags are a target group's attributes as flags.
type targetGroupFlags struct {
	id        int
	state     string
	preferred bool
	targets   []string
}

func (f *targetGroupFlags) add(c *cobra.Command) {
	c.Flags().IntVar(&f.id, "id", 0, "target port group identifier, 1 to 65535 (default: the next)")
	c.Flags().StringVar(&f.state, "state", "", "active, nonoptimized, standby, unavailable, offline or transitioning")
	c.Flags().BoolVar(&f.preferred, "preferred", false, "initiators should prefer it")
	c.Flags().StringSliceVar(&f.targets, "target", nil, "`target` of the group; NAME=ID is one of the peer node with that relative identifier (more than once, or with commas)")
}

func (f *targetGroupFlags) set(c *cobra.Command, doc *config.Document, g *config.TargetGroup) error {
	if c.Flags().Changed("id") {
		g.ID = f.id
	}
	if c.Flags().Changed("state") {
		g.State = f.state
	}
	if c.Flags().Changed("preferred") {
		g.Preferred = f.preferred
	}
	if !c.Flags().Changed("target") {
		return nil
	}
	g.Targets = nil
	for _, name := range f.targets {
		member, err := groupTarget(doc, name)
		if err != nil {
			return err
		}
		g.Targets = append(g.Targets, member)
	}
	return nil
}

func groupTarget(doc *config.Document, text string) (config.GroupTarget, error) {
	name, id, peer := cutLast(text, "=")
	if peer {
		g := config.GroupTarget{Name: name}
		if _, err := fmt.Sscanf(id, "%d", &g.RelativeID); err != nil || g.RelativeID < 1 {
			return g, usageError{fmt.Errorf("%q: write NAME=ID with a relative target port identifier of 1 to 65535", text)}
		}
		return g, nil
	}
	t, err := findTarget(doc, name)
	if err != nil {
		return config.GroupTarget{}, err
	}
	return config.GroupTarget{Name: t.Name}, nil
}

func (a *app) completeALUA(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		var names []string
		for _, g := range doc.DeviceGroups {
			if len(args) == 0 {
				names = append(names, g.Name)
			}
			if len(args) == 1 && args[0] == g.Name {
				for _, tg := range g.TargetGroups {
					names = append(names, tg.Name)
				}
			}
		}
		return names
	})(c, args, typed)
}
