package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// listedNamespace is a namespace with the subsystem it belongs to.
type listedNamespace struct {
	Subsystem string `json:"subsystem"`
	config.NVMeNamespace
}

func (a *app) nvmeNamespace() *cobra.Command {
	c := &cobra.Command{Use: "namespace", Aliases: []string{"namespaces", "ns"}, Short: "Namespaces: devices as NVMe hosts see them"}
	list := &cobra.Command{
		Use: "list [SUBSYSTEM]", Short: "List the namespaces", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeSubsystems,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			subsystems, err := someSubsystems(doc, args)
			if err != nil {
				return err
			}
			all := []listedNamespace{}
			for _, s := range subsystems {
				for _, ns := range s.Namespaces {
					all = append(all, listedNamespace{s.NQN, ns})
				}
			}
			return a.print(all, func(t *table) {
				t.head("subsystem", "nsid", "device", "uuid", "ana group", "reservations")
				for _, ns := range all {
					t.row(ns.Subsystem, ns.NSID, ns.Device, ns.UUID, max(ns.ANAGroup, 1), yesNo(ns.Reservations))
				}
			})
		}),
	}
	var made config.NVMeNamespace
	create := &cobra.Command{
		Use: "create SUBSYSTEM DEVICE", Short: "Serve a device as a namespace", Args: cobra.ExactArgs(2),
		Long:    "Serve a device as a namespace. No LUN may lead to it. Without --nsid it gets the lowest\nfree number.",
		Example: "  esos nvme namespace create mail db01",
		ValidArgsFunction: a.completeNames(func(doc *config.Document, args []string) []string {
			if len(args) == 1 {
				return deviceNames(doc)
			}
			var names []string
			for _, s := range doc.NVMe.Subsystems {
				names = append(names, s.NQN)
			}
			return names
		}),
	}
	create.Flags().IntVar(&made.NSID, "nsid", 0, "number, 1 to 1024 (default: the lowest that is free)")
	create.Flags().StringVar(&made.UUID, "uuid", "", "UUID that hosts know it by (default: one is made)")
	create.Flags().IntVar(&made.ANAGroup, "ana-group", 0, "ANA group (default 1)")
	create.Flags().BoolVar(&made.Reservations, "reservations", false, "offer persistent reservations (Linux 6.13 and later)")
	a.edited(create, func(_ *cobra.Command, args []string, doc *config.Document) error {
		s, err := findSubsystem(doc, args[0])
		if err != nil {
			return err
		}
		ns := made
		ns.Device = args[1]
		return doc.AddNVMeNamespace(s.NQN, ns)
	})
	var group int
	var reservations bool
	set := &cobra.Command{Use: "set SUBSYSTEM NSID", Short: "Change a namespace", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeSubsystems}
	set.Flags().IntVar(&group, "ana-group", 0, "ANA group")
	set.Flags().BoolVar(&reservations, "reservations", false, "offer persistent reservations; hosts lose the namespace for a moment")
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		s, nsid, err := namespaceArgs(doc, args[0], args[1])
		if err != nil {
			return err
		}
		ns, err := doc.FindNVMeNamespace(s.NQN, nsid)
		if err != nil {
			return err
		}
		if !c.Flags().Changed("ana-group") && !c.Flags().Changed("reservations") {
			return usageError{errNothing}
		}
		if c.Flags().Changed("ana-group") {
			ns.ANAGroup = group
		}
		if c.Flags().Changed("reservations") {
			ns.Reservations = reservations
		}
		return nil
	})
	remove := &cobra.Command{Use: "delete SUBSYSTEM NSID...", Short: "Delete namespaces; devices stay", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeSubsystems}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, arg := range args[1:] {
			s, nsid, err := namespaceArgs(doc, args[0], arg)
			if err != nil {
				return err
			}
			if err := doc.RemoveNVMeNamespace(s.NQN, nsid); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, create, set, remove)
	return c
}

func namespaceArgs(doc *config.Document, subsystem, number string) (*config.NVMeSubsystem, int, error) {
	s, err := findSubsystem(doc, subsystem)
	if err != nil {
		return nil, 0, err
	}
	nsid, err := strconv.Atoi(number)
	if err != nil {
		return nil, 0, usageError{fmt.Errorf("%q is no number of a namespace", number)}
	}
	return s, nsid, nil
}

// someSubsystems are the subsystem that args name, or all.
func someSubsystems(doc *config.Document, args []string) ([]config.NVMeSubsystem, error) {
	if len(args) == 0 {
		return doc.NVMe.Subsystems, nil
	}
	s, err := findSubsystem(doc, args[0])
	if err != nil {
		return nil, err
	}
	return []config.NVMeSubsystem{*s}, nil
}
