package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) network() *cobra.Command {
	c := &cobra.Command{
		Use: "network", Short: "The machine's name and network interfaces",
		Long: `The machine's name and network interfaces.

A change of an interface is undone after a minute unless it is confirmed, so that
nobody is shut out by a slip of the pen. On a terminal the command asks whether to
keep it; over --api it confirms by itself, by a new connection to the array. Else
run 'esos network confirm' once you have seen that you still get in.

Ports that the document does not name ask for an address by DHCP.`,
	}
	c.AddCommand(a.networkList(), a.networkStatus(), a.networkConfirm(), a.networkUndo(), a.networkRestart(),
		a.networkInterface(), a.networkBond(), a.networkVLAN(), a.networkBridge(), a.networkHostname(), a.networkDNS())
	return c
}

func (a *app) networkList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the network interfaces as they are now", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			n, err := c.Network(ctx)
			if err != nil {
				return err
			}
			return a.print(n.Interfaces, func(t *table) {
				t.head("name", "kind", "state", "speed", "mtu", "mac", "part of", "addresses", "declared")
				for _, l := range n.Interfaces {
					state, speed, of := "off", "", l.Master
					if l.Up {
						state = map[bool]string{true: "up", false: "no carrier"}[l.Carrier]
					}
					if l.SpeedMbit > 0 {
						speed = fmt.Sprintf("%d Mbit/s", l.SpeedMbit)
					}
					if l.Parent != "" {
						of = strings.TrimSpace(fmt.Sprintf("%s VLAN %d of %s", of, l.VLANID, l.Parent))
					}
					t.row(l.Name, l.Kind, state, speed, l.MTU, l.MAC, of, strings.Join(l.Addresses, " "), yesNo(l.Declared))
				}
			})
		}),
	}
}

func (a *app) networkStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show whether a change of the network waits to be confirmed", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			if a.output != asTable {
				return a.print(struct {
					Unconfirmed *v1.UnconfirmedNetwork `json:"unconfirmed"`
				}{s.Unconfirmed}, nil)
			}
			if s.Unconfirmed == nil {
				_, err = fmt.Fprintln(a.out, "no change of the network waits to be confirmed")
				return err
			}
			_, err = fmt.Fprintf(a.out, "revision %d by %s changed the network (%s); it is undone in %d s unless it is confirmed: esos network confirm\n",
				s.Unconfirmed.Revision, clean(s.Unconfirmed.Who), clean(s.Unconfirmed.Why), secondsLeft(s.Unconfirmed.Deadline))
			return err
		}),
	}
}

func secondsLeft(deadline time.Time) int {
	return max(0, int(time.Until(deadline).Round(time.Second)/time.Second))
}

func (a *app) networkConfirm() *cobra.Command {
	var revision int
	c := &cobra.Command{
		Use: "confirm", Short: "Keep the change of the network that waits to be confirmed", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			if err := c.ConfirmNetwork(ctx, revision); err != nil {
				return err
			}
			fmt.Fprintln(a.notes(), "the change of the network stays")
			return nil
		}),
	}
	c.Flags().IntVar(&revision, "revision", 0, "only if this `revision`'s change waits (default: whichever does)")
	return c
}

func (a *app) networkUndo() *cobra.Command {
	return &cobra.Command{
		Use: "undo", Short: "Undo the change of the network that waits to be confirmed", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			if err := c.UndoNetwork(ctx); err != nil {
				return err
			}
			fmt.Fprintln(a.notes(), "the change of the network is undone")
			return nil
		}),
	}
}

func (a *app) networkRestart() *cobra.Command {
	return &cobra.Command{
		Use: "restart", Short: "Set every network interface up anew", Args: cobra.NoArgs,
		Long: "Set every network interface up anew. Static addresses stay meanwhile; addresses from\nDHCP are asked for again.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			if err := c.RestartNetwork(ctx); err != nil {
				return err
			}
			fmt.Fprintln(a.notes(), "the network interfaces are set up anew")
			return nil
		}),
	}
}

func (a *app) networkHostname() *cobra.Command {
	c := &cobra.Command{
		Use: "hostname NAME[.DOMAIN]", Short: "Name the machine", Args: cobra.ExactArgs(1),
		Example: "  esos network hostname array1.example.com",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		doc.Network.Hostname, doc.Network.Domain, _ = strings.Cut(args[0], ".")
		return nil
	})
}

func (a *app) networkDNS() *cobra.Command {
	var search []string
	c := &cobra.Command{
		Use: "dns [ADDRESS...]", Short: "Say who is asked for names", Args: cobra.ArbitraryArgs,
		Long:    "Say which name servers are asked, besides those that DHCP tells of. Without addresses\nonly those are.",
		Example: "  esos network dns 192.0.2.53 2001:db8::53 --search example.com",
	}
	c.Flags().StringSliceVar(&search, "search", nil, "`domain` that short names are looked for in (more than once, or with commas)")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		doc.Network.DNS = args
		if c.Flags().Changed("search") || len(args) == 0 {
			doc.Network.Search = search
		}
		return nil
	})
}
