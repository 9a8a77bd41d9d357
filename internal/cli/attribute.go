package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// attributeFlag adds the flag for attributes that a kernel engine has.
func attributeFlag(c *cobra.Command, assignments *[]string) {
	c.Flags().StringArrayVar(assignments, "attribute", nil, "`name=value` of an attribute that the engine's kernel has (engines lio and scst; more than once); no value: as the kernel has it")
}

// setAttributes sets attributes from name=value; without a value one is taken out.
func setAttributes(m *map[string]string, assignments []string) error {
	for _, s := range assignments {
		name, value, ok := strings.Cut(s, "=")
		switch {
		case !ok || name == "":
			return usageError{fmt.Errorf("attribute %q: write name=value, or name= to leave it to the kernel", s)}
		case value == "":
			delete(*m, name)
		case *m == nil:
			*m = map[string]string{name: value}
		default:
			(*m)[name] = value
		}
	}
	return nil
}

// attributePairs shows attributes one a line.
func attributePairs(t *table, before string, attributes map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		t.pair(before+name, attributes[name])
	}
}

// groupSet changes what a group has besides initiators and LUNs.
func (a *app) groupSet() *cobra.Command {
	var attributes []string
	c := &cobra.Command{
		Use: "set TARGET GROUP", Short: "Change a group's attributes", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTargets,
		Long: `Change attributes that the engine's kernel has of a host group. Initiators are
changed with esos initiator, LUNs with esos lun.`,
		Example: "  esos group set mail hosts --attribute io_grouping_type=never\n  esos group set mail hosts --attribute io_grouping_type=",
	}
	attributeFlag(c, &attributes)
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		if len(attributes) == 0 {
			return usageError{errNothing}
		}
		t, err := findTarget(doc, args[0])
		if err != nil {
			return err
		}
		g, err := doc.FindGroup(t.Name, args[1])
		if err != nil {
			return err
		}
		return setAttributes(&g.Attributes, attributes)
	})
}
