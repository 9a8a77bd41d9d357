package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// interfaceFlags are what all kinds of interfaces have.
type interfaceFlags struct {
	addresses, routes  []string
	mac                string
	mtu                int
	dhcp               string
	acceptRA           bool
	gateway4, gateway6 string
}

func (f *interfaceFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.addresses, "address", nil, "static `address`/length (more than once, or with commas; an empty one: none)")
	c.Flags().StringVar(&f.dhcp, "dhcp", "", "addresses to ask for: none, ipv4, ipv6 or both")
	c.Flags().IntVar(&f.mtu, "mtu", 0, "`bytes`; 0 leaves it to what is on top, and the driver")
	c.Flags().StringVar(&f.gateway4, "gateway4", "", "default router for IPv4")
	c.Flags().StringVar(&f.gateway6, "gateway6", "", "default router for IPv6")
	c.Flags().StringSliceVar(&f.routes, "route", nil, "further route `NETWORK=ROUTER`, such as 198.51.100.0/24=192.0.2.1 (more than once; an empty one: none)")
	c.Flags().BoolVar(&f.acceptRA, "accept-ra", false, "take addresses and routes from IPv6 router advertisements")
	c.Flags().StringVar(&f.mac, "mac", "", "`address` of the card that is meant; of a bond, VLAN or bridge its own")
}

// changed copies what the command line says, and tells whether it says anything.
func (f *interfaceFlags) changed(c *cobra.Command, i *config.Interface) (bool, error) {
	any := false
	set := func(name string, copy func()) {
		if c.Flags().Changed(name) {
			copy()
			any = true
		}
	}
	set("address", func() {
		i.Addresses = slices.DeleteFunc(slices.Clone(f.addresses), func(s string) bool { return s == "" })
	})
	set("dhcp", func() { i.DHCP = f.dhcp })
	set("mtu", func() { i.MTU = f.mtu })
	set("gateway4", func() { i.Gateway4 = f.gateway4 })
	set("gateway6", func() { i.Gateway6 = f.gateway6 })
	set("accept-ra", func() { i.AcceptRA = new(f.acceptRA) })
	set("mac", func() { i.MAC = f.mac })
	var err error
	set("route", func() {
		i.Routes = nil
		for _, r := range f.routes {
			if r == "" {
				continue
			}
			to, via, ok := strings.Cut(r, "=")
			if !ok {
				err = usageError{fmt.Errorf("%q is no route; write NETWORK=ROUTER", r)}
			}
			i.Routes = append(i.Routes, config.Route{To: to, Via: via})
		}
	})
	return any, err
}

func (a *app) networkInterface() *cobra.Command {
	c := &cobra.Command{Use: "interface", Aliases: []string{"interfaces"}, Short: "Ports, and the bonds, VLANs and bridges on them"}
	list := &cobra.Command{
		Use: "list", Short: "List the interfaces that the document declares", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.Network.Interfaces, func(t *table) {
				t.head("name", "kind", "on", "dhcp", "mtu", "addresses")
				for _, i := range doc.Network.Interfaces {
					i = i.WithDefaults()
					on := strings.Join(i.Members(), ", ")
					if i.VLAN != nil {
						on = fmt.Sprintf("%s, VLAN %d", i.VLAN.Parent, i.VLAN.ID)
					}
					mtu := ""
					if m := doc.Network.MTU(i.Name); m != 0 {
						mtu = fmt.Sprint(m)
					}
					t.row(i.Name, i.Kind, on, i.DHCP, mtu, strings.Join(i.Addresses, " "))
				}
			})
		}),
	}
	var f interfaceFlags
	set := &cobra.Command{
		Use: "set NAME", Short: "Change an interface, or declare a port", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeInterfaces,
		Long: `Change an interface; only what is named changes. A port that the document does not
have yet is declared: from then on it has what is named here, and no DHCP unless
--dhcp says so.`,
		Example: "  esos network interface set ens3 --address 192.0.2.10/24 --gateway4 192.0.2.1\n  esos network interface set ens4 --dhcp both",
	}
	f.add(set)
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		i := doc.Network.Find(args[0])
		if i == nil {
			doc.Network.Interfaces = append(doc.Network.Interfaces, config.Interface{Name: args[0]})
			i = doc.Network.Find(args[0])
		}
		changed, err := f.changed(c, i)
		if err == nil && !changed {
			err = usageError{errNothing}
		}
		return err
	})
	remove := &cobra.Command{
		Use: "delete NAME...", Short: "Declare interfaces no more", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeInterfaces,
		Long: "Declare interfaces no more. Bonds, VLANs and bridges are taken away; ports ask for an\naddress by DHCP again.",
	}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.Network.Remove(name, args); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, set, remove)
	return c
}

func (a *app) completeInterfaces(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, _ []string) []string {
		var names []string
		for _, i := range doc.Network.Interfaces {
			names = append(names, i.Name)
		}
		return names
	})(c, args, typed)
}

// creating makes a command that adds an interface; fill says which kind it is.
func (a *app) creating(c *cobra.Command, fill func(i *config.Interface, args []string)) *cobra.Command {
	var f interfaceFlags
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		i := config.Interface{Name: args[0]}
		if _, err := f.changed(c, &i); err != nil {
			return err
		}
		fill(&i, args)
		return doc.Network.AddInterface(i)
	})
}

func (a *app) networkBond() *cobra.Command {
	c := &cobra.Command{Use: "bond", Short: "Ports that are used as one"}
	var b config.Bond
	create := &cobra.Command{
		Use: "create NAME PORT...", Short: "Join ports to a bond", Args: cobra.MinimumNArgs(2),
		Long:    "Join ports to a bond. They have no addresses any more; the bond has.",
		Example: "  esos network bond create bond0 ens3 ens4 --mode 802.3ad --lacp-rate fast --address 192.0.2.10/24",
	}
	create.Flags().StringVar(&b.Mode, "mode", "", "active-backup (default), 802.3ad, balance-rr, balance-xor, balance-tlb, balance-alb or broadcast")
	create.Flags().IntVar(&b.MIIMon, "miimon", 0, "`milliseconds` between looks at the links (default 100)")
	create.Flags().StringVar(&b.LACPRate, "lacp-rate", "", "of 802.3ad: slow (default) or fast")
	create.Flags().StringVar(&b.XmitHashPolicy, "xmit-hash-policy", "", "what chooses the port: layer2 (default), layer2+3, layer3+4, encap2+3 or encap3+4")
	create.Flags().StringVar(&b.Primary, "primary", "", "`port` that is used while it works")
	c.AddCommand(a.creating(create, func(i *config.Interface, args []string) {
		made := b
		made.Members = args[1:]
		i.Kind, i.Bond = config.KindBond, &made
	}))
	return c
}

func (a *app) networkVLAN() *cobra.Command {
	c := &cobra.Command{Use: "vlan", Short: "Tagged networks on an interface"}
	var id int
	create := &cobra.Command{
		Use: "create NAME PARENT --id ID", Short: "Put a VLAN on an interface", Args: cobra.ExactArgs(2),
		Example: "  esos network vlan create bond0.20 bond0 --id 20 --address 198.51.100.10/24",
	}
	create.Flags().IntVar(&id, "id", 0, "VLAN `number`, 1 to 4094 (needed)")
	c.AddCommand(a.creating(create, func(i *config.Interface, args []string) {
		i.Kind, i.VLAN = config.KindVLAN, &config.VLAN{Parent: args[1], ID: id}
	}))
	return c
}

func (a *app) networkBridge() *cobra.Command {
	c := &cobra.Command{Use: "bridge", Short: "Interfaces joined to one segment"}
	var stp bool
	create := &cobra.Command{
		Use: "create NAME [INTERFACE...]", Short: "Join interfaces to a bridge", Args: cobra.MinimumNArgs(1),
		Example: "  esos network bridge create br0 bond0.20 --address 198.51.100.10/24",
	}
	create.Flags().BoolVar(&stp, "stp", false, "spanning tree protocol")
	c.AddCommand(a.creating(create, func(i *config.Interface, args []string) {
		i.Kind, i.Bridge = config.KindBridge, &config.Bridge{Members: args[1:], STP: stp}
	}))
	return c
}
