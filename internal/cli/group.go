package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// listedGroup is a group with the target it belongs to.
type listedGroup struct {
	Target string `json:"target"`
	config.Group
}

func (a *app) group() *cobra.Command {
	c := &cobra.Command{
		Use: "group", Aliases: []string{"groups"}, Short: "Host groups: initiators that see the same LUNs",
		Long: `A host group belongs to a target. It has patterns of initiator names (with * and ?,
a leading ! excludes) and its own LUNs. An initiator that no group matches sees
the target's default LUNs.`,
	}
	list := &cobra.Command{
		Use: "list [TARGET]", Short: "List the groups", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeTargets,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			targets, err := someTargets(doc, args)
			if err != nil {
				return err
			}
			all := []listedGroup{}
			for _, t := range targets {
				for _, g := range t.Groups {
					all = append(all, listedGroup{t.Name, g})
				}
			}
			return a.print(all, func(t *table) {
				t.head("target", "group", "luns", "initiators")
				for _, g := range all {
					t.row(g.Target, g.Name, len(g.LUNs), strings.Join(g.Initiators, " "))
				}
			})
		}),
	}
	var initiators []string
	create := &cobra.Command{
		Use: "create TARGET GROUP", Short: "Create a group", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTargets,
		Example: "  esos group create mail hosts --initiator 'iqn.2026-11.com.example:mail*'",
	}
	create.Flags().StringSliceVar(&initiators, "initiator", nil, "`pattern` of initiator names (more than once, or with commas)")
	a.edited(create, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		return doc.AddGroup(t.Name, config.Group{Name: args[1], Initiators: initiatorNames(t, initiators)})
	})
	remove := &cobra.Command{Use: "delete TARGET GROUP", Short: "Delete a group with its LUNs; devices stay", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTargets}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		return doc.RemoveGroup(t.Name, args[1])
	})
	c.AddCommand(list, create, a.groupSet(), remove)
	return c
}

// initiatorNames spells names of initiators as the target's driver has them.
func initiatorNames(t *config.Target, names []string) []string {
	spelled := make([]string, len(names))
	for i, n := range names {
		spelled[i] = t.Driver.InitiatorName(n)
	}
	return spelled
}

// someTargets are the target that args name, or all.
func someTargets(doc *config.Document, args []string) ([]config.Target, error) {
	if len(args) == 0 {
		return doc.Targets, nil
	}
	t, err := findTarget(doc, args[0])
	if err != nil {
		return nil, err
	}
	return []config.Target{*t}, nil
}

func (a *app) initiator() *cobra.Command {
	c := &cobra.Command{Use: "initiator", Aliases: []string{"initiators"}, Short: "Initiators of a host group"}
	list := &cobra.Command{
		Use: "list TARGET GROUP", Short: "List the patterns of a group", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTargets,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			_, g, err := groupOf(doc, args)
			if err != nil {
				return err
			}
			names := append([]string{}, g.Initiators...)
			return a.print(names, func(t *table) {
				t.head("initiator")
				for _, n := range names {
					t.row(n)
				}
			})
		}),
	}
	add := &cobra.Command{
		Use: "add TARGET GROUP PATTERN...", Short: "Add initiators to a group", Args: cobra.MinimumNArgs(3), ValidArgsFunction: a.completeTargets,
		Long:    "Add initiators to a group: names, or patterns with * and ?; a leading ! excludes.",
		Example: "  esos initiator add mail hosts iqn.2026-11.com.example:mail1 'iqn.2026-11.com.example:backup*'",
	}
	a.edited(add, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, g, err := groupOf(doc, args)
		if err != nil {
			return err
		}
		for _, n := range initiatorNames(t, args[2:]) {
			if !slices.Contains(g.Initiators, n) {
				g.Initiators = append(g.Initiators, n)
			}
		}
		return nil
	})
	remove := &cobra.Command{Use: "remove TARGET GROUP PATTERN...", Short: "Remove initiators from a group", Args: cobra.MinimumNArgs(3), ValidArgsFunction: a.completeTargets}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		t, g, err := groupOf(doc, args)
		if err != nil {
			return err
		}
		for _, n := range initiatorNames(t, args[2:]) {
			if err := doc.RemoveInitiator(t.Name, g.Name, n); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, add, remove)
	return c
}

// groupOf finds the group that the arguments TARGET GROUP name.
func groupOf(doc *config.Document, args []string) (*config.Target, *config.Group, error) {
	t, err := findTarget(doc, args[0])
	if err != nil {
		return nil, nil, err
	}
	g, err := doc.FindGroup(t.Name, args[1])
	return t, g, err
}
