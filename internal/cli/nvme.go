package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) nvme() *cobra.Command {
	c := &cobra.Command{
		Use: "nvme", Short: "NVMe over TCP, RDMA and Fibre Channel",
		Long: `The kernel's NVMe target serves beside whichever engine serves SCSI. Hosts connect to a
subsystem at one of its ports, if the subsystem names them, and see its
namespaces: devices (vdisk_fileio, vdisk_blockio) that no LUN leads to.`,
		Example: "  esos nvme port create front 192.0.2.10:4420\n  esos nvme subsystem create mail\n  esos nvme host create mail nqn.2014-08.org.nvmexpress:uuid:6f1b0e9d-2c3a-4867-9122-334455667788\n  esos nvme namespace create mail db01",
	}
	c.AddCommand(a.nvmePort(), a.nvmeSubsystem(), a.nvmeNamespace(), a.nvmeHost(), a.nvmeConnection())
	return c
}

func (a *app) nvmeSubsystem() *cobra.Command {
	c := &cobra.Command{Use: "subsystem", Aliases: []string{"subsystems"}, Short: "Subsystems: what hosts connect to"}
	list := &cobra.Command{
		Use: "list", Short: "List the subsystems", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.NVMe.Subsystems, func(t *table) {
				t.head("nqn", "serial", "ports", "hosts", "namespaces")
				for _, s := range doc.NVMe.Subsystems {
					t.row(s.NQN, s.Serial, portalsText(s.Ports), hostsText(s), len(s.Namespaces))
				}
			})
		}),
	}
	show := &cobra.Command{
		Use: "show SUBSYSTEM", Short: "Show one subsystem with its hosts and namespaces", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSubsystems,
		Long: "Show one subsystem with its hosts and namespaces. SUBSYSTEM is its NQN, or what stands\nbehind the last colon of it if no other subsystem has that.",
		RunE: a.reading(func(args []string, doc *config.Document) error {
			s, err := findSubsystem(doc, args[0])
			if err != nil {
				return err
			}
			return a.print(s, func(t *table) {
				t.pair("NQN", s.NQN)
				t.pair("Serial", s.Serial)
				t.pair("Model", s.Model)
				t.pair("Ports", portalsText(s.Ports))
				t.pair("Any host", yesNo(s.AllowAnyHost))
				for _, h := range s.Hosts {
					t.pair("Host", h.NQN+" ("+authOf(h)+")")
				}
				for _, ns := range s.Namespaces {
					t.pair(fmt.Sprintf("Namespace %d", ns.NSID), fmt.Sprintf("%s (%s)", ns.Device, ns.UUID))
				}
			})
		}),
	}
	c.AddCommand(list, show, a.subsystemCreate(), a.subsystemSet(), a.subsystemDelete())
	return c
}

func hostsText(s config.NVMeSubsystem) string {
	if s.AllowAnyHost {
		return "any"
	}
	return fmt.Sprint(len(s.Hosts))
}

// subsystemFlags are a subsystem's attributes as flags.
type subsystemFlags struct {
	serial, model string
	ports         []string
	any           bool
}

func (f *subsystemFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.serial, "serial", "", "serial number, up to 20 characters (default: one is made); stays once hosts have seen it")
	c.Flags().StringVar(&f.model, "model", "", "model number, up to 40 characters; stays once hosts have seen it")
	c.Flags().StringSliceVar(&f.ports, "port", nil, "port `name` it is reached by (all if none; more than once, or with commas)")
	c.Flags().BoolVar(&f.any, "allow-any-host", false, "let every host in, without authentication")
}

func (f *subsystemFlags) set(c *cobra.Command, s *config.NVMeSubsystem) (changed bool) {
	for name, copy := range map[string]func(){
		"serial":         func() { s.Serial = f.serial },
		"model":          func() { s.Model = f.model },
		"port":           func() { s.Ports = slices.DeleteFunc(slices.Clone(f.ports), func(p string) bool { return p == "" }) },
		"allow-any-host": func() { s.AllowAnyHost = f.any },
	} {
		if c.Flags().Changed(name) {
			copy()
			changed = true
		}
	}
	return changed
}

func (a *app) subsystemCreate() *cobra.Command {
	f := &subsystemFlags{}
	var hosts []string
	c := &cobra.Command{
		Use: "create SUBSYSTEM", Short: "Create a subsystem", Args: cobra.ExactArgs(1),
		Long: `Create a subsystem. SUBSYSTEM is an NQN; a plain word becomes
` + config.OurNQNs + `WORD. Nobody may connect before a host is named.`,
		Example: "  esos nvme subsystem create mail --host nqn.2026-11.com.example:host1\n  esos nvme subsystem create nqn.2026-11.com.example:mail --port front",
	}
	f.add(c)
	c.Flags().StringSliceVar(&hosts, "host", nil, "`NQN` of a host that may connect (more than once, or with commas)")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		s := config.NVMeSubsystem{NQN: config.NewSubsystemName(args[0])}
		f.set(c, &s)
		if err := doc.AddNVMeSubsystem(s); err != nil {
			return err
		}
		for _, h := range hosts {
			if err := doc.AddNVMeHost(s.NQN, config.NVMeHost{NQN: h}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) subsystemSet() *cobra.Command {
	f := &subsystemFlags{}
	c := &cobra.Command{Use: "set SUBSYSTEM", Short: "Change a subsystem's attributes", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeSubsystems,
		Example: "  esos nvme subsystem set mail --port front,back"}
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		s, err := findSubsystem(doc, args[0])
		if err != nil {
			return err
		}
		if !f.set(c, s) {
			return usageError{errNothing}
		}
		return nil
	})
}

func (a *app) subsystemDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete SUBSYSTEM...", Short: "Delete subsystems with their namespaces; devices stay", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeSubsystems}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, arg := range args {
			s, err := findSubsystem(doc, arg)
			if err != nil {
				return err
			}
			if err := doc.RemoveNVMeSubsystem(s.NQN); err != nil {
				return err
			}
		}
		return nil
	})
}

// findSubsystem finds a subsystem by its NQN, or by what stands behind its
// last colon if only one has that.
func findSubsystem(doc *config.Document, name string) (*config.NVMeSubsystem, error) {
	var found *config.NVMeSubsystem
	several := false
	for i := range doc.NVMe.Subsystems {
		s := &doc.NVMe.Subsystems[i]
		if s.NQN == name {
			return s, nil
		}
		if _, short, ok := cutLast(s.NQN, ":"); ok && short == name {
			several = found != nil
			found = s
		}
	}
	switch {
	case several:
		return nil, usageError{fmt.Errorf("more than one subsystem is called %s; give the whole NQN", name)}
	case found == nil:
		return nil, notFound(fmt.Errorf("there is no NVMe subsystem %s; 'esos nvme subsystem list' shows all", name))
	}
	return found, nil
}

// completeSubsystems completes SUBSYSTEM.
func (a *app) completeSubsystems(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		var names []string
		for _, s := range doc.NVMe.Subsystems {
			if len(args) == 0 {
				names = append(names, s.NQN)
			}
		}
		return names
	})(c, args, typed)
}

func (a *app) nvmeConnection() *cobra.Command {
	c := &cobra.Command{Use: "connection", Aliases: []string{"connections"}, Short: "Hosts that are connected"}
	c.AddCommand(&cobra.Command{
		Use: "list", Short: "List the hosts that are connected", Args: cobra.NoArgs,
		Long: "List the hosts that are connected, where the kernel tells it (Linux 6.11 and later, if\nbuilt with CONFIG_NVME_TARGET_DEBUGFS).",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.NVMeConnections(ctx)
			if err != nil {
				return err
			}
			if !all.Known {
				fmt.Fprintln(a.err, "note: this kernel does not tell who is connected; there may be others")
			}
			return a.print(all, func(t *table) {
				t.head("subsystem", "controller", "host", "address", "port", "state")
				for _, x := range all.Connections {
					t.row(x.Subsystem, x.Controller, x.Host, x.Address, x.Port, x.State)
				}
			})
		}),
	})
	return c
}
