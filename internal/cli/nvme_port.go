package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

func (a *app) nvmePort() *cobra.Command {
	c := &cobra.Command{Use: "port", Aliases: []string{"ports"}, Short: "Addresses that NVMe hosts connect to"}
	list := &cobra.Command{
		Use: "list", Short: "List the ports", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.NVMe.Ports, func(t *table) {
				t.head("name", "id", "transport", "address", "access states")
				for _, p := range doc.NVMe.Ports {
					t.row(p.Name, p.ID, p.Transport, p.Address, anaText(p.ANAGroups))
				}
			})
		}),
	}
	create := &cobra.Command{
		Use: "create PORT ADDRESS", Short: "Create a port", Args: cobra.ExactArgs(2),
		Long:    "Create a port. ADDRESS is host:port or [v6]:port, and 4420 the usual port; an empty host\nis every IPv4 address. For fc it is nn-0xWWNN:pn-0xWWPN of the adapter's port.",
		Example: "  esos nvme port create front 192.0.2.10:4420\n  esos nvme port create roce 192.0.2.11:4420 --transport rdma\n  esos nvme port create fc0 nn-0x20000024ff000001:pn-0x21000024ff000001 --transport fc",
	}
	made := &nvmePortFlags{}
	made.add(create)
	a.edited(create, func(c *cobra.Command, args []string, doc *config.Document) error {
		p := config.NVMePort{Name: args[0], Transport: config.NVMeTCP, Address: args[1]}
		if _, err := made.set(c, &p); err != nil {
			return err
		}
		return doc.AddNVMePort(p)
	})
	set := &cobra.Command{Use: "set PORT", Short: "Change a port", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeNVMePorts,
		Example: "  esos nvme port set front --ana 2=non-optimized"}
	changed := &nvmePortFlags{}
	changed.add(set)
	set.Flags().StringVar(&changed.address, "address", "", "another address; hosts on the old one are cut off")
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		p, err := doc.FindNVMePort(args[0])
		if err != nil {
			return err
		}
		any, err := changed.set(c, p)
		if err == nil && !any {
			return usageError{errNothing}
		}
		return err
	})
	remove := &cobra.Command{Use: "delete PORT...", Short: "Delete ports", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeNVMePorts}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemoveNVMePort(name); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, create, set, remove)
	return c
}

func anaText(groups []config.ANAGroup) string {
	texts := make([]string, len(groups))
	for i, g := range groups {
		texts[i] = fmt.Sprintf("%d=%s", g.ID, g.State)
	}
	return strings.Join(texts, ",")
}

// nvmePortFlags are a port's attributes as flags.
type nvmePortFlags struct {
	transport, address string
	inCapsule          int
	ana                []string
}

func (f *nvmePortFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.transport, "transport", "", "tcp (default), rdma or fc")
	c.Flags().IntVar(&f.inCapsule, "in-capsule-size", 0, "bytes of data that may come with a command (default: the transport's)")
	c.Flags().StringSliceVar(&f.ana, "ana", nil, "`group=state` of an ANA group through this port, such as 2=non-optimized; no state: the default (more than once, or with commas)")
}

func (f *nvmePortFlags) set(c *cobra.Command, p *config.NVMePort) (any bool, err error) {
	for name, copy := range map[string]func(){
		"transport":       func() { p.Transport = f.transport },
		"address":         func() { p.Address = f.address },
		"in-capsule-size": func() { p.InCapsuleSize = f.inCapsule },
	} {
		if c.Flags().Changed(name) {
			copy()
			any = true
		}
	}
	for _, text := range f.ana {
		group, state, ok := strings.Cut(text, "=")
		id, err := strconv.Atoi(group)
		if err != nil || !ok {
			return any, usageError{fmt.Errorf("%q is no group=state, such as 2=non-optimized", text)}
		}
		any = true
		p.ANAGroups = slices.DeleteFunc(p.ANAGroups, func(g config.ANAGroup) bool { return g.ID == id })
		if state != "" {
			p.ANAGroups = append(p.ANAGroups, config.ANAGroup{ID: id, State: state})
		}
	}
	slices.SortFunc(p.ANAGroups, func(a, b config.ANAGroup) int { return a.ID - b.ID })
	return any, nil
}

func (a *app) completeNVMePorts(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, _ []string) []string {
		var names []string
		for _, p := range doc.NVMe.Ports {
			names = append(names, p.Name)
		}
		return names
	})(c, args, typed)
}
