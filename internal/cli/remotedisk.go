package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) remote() *cobra.Command {
	c := &cobra.Command{
		Use: "remote", Aliases: []string{"remotes"}, Short: "Disks of other arrays, which this machine logs in to",
		Long: `Disks of other arrays: this machine logs in to iSCSI targets and NVMe subsystems, and uses
their disks as its own. Each entry is one path: a target that is reached at two addresses
has two, and 'esos multipath' gathers the disks that both lead to.`,
	}
	c.AddCommand(a.remoteList(), a.remoteAddISCSI(), a.remoteAddNVMe(), a.remoteSet(), a.remoteDelete())
	return c
}

func (a *app) remoteList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List what this machine logs in to, and who it is there", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			now, err := c.Storage(ctx)
			if err != nil {
				return err
			}
			r := now.Remote
			err = a.print(r, func(t *table) {
				t.head("name", "transport", "target", "address", "state", "disks")
				for _, l := range r.Logins {
					t.row(l.Name, l.Transport, l.Target, l.Address, l.State, strings.Join(l.Disks, " "))
				}
			})
			if err != nil || a.output != asTable {
				return err
			}
			fmt.Fprintf(a.out, "\nOther arrays show their disks to\n  iSCSI initiator  %s\n  NVMe host        %s\n", clean(unknown(r.Initiator)), clean(unknown(r.Host)))
			if r.Error != "" {
				fmt.Fprintf(a.err, "esos: warning: %s\n", clean(r.Error))
			}
			return nil
		}),
	}
}

func unknown(name string) string {
	if name == "" {
		return "(not named yet)"
	}
	return name
}

// chapFlags say with what this machine logs in.
type chapFlags struct {
	user, file string
	secret     config.Secret // read once, however often the edit is made
}

func (f *chapFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.user, "user", "", "CHAP name; an empty one: none")
	c.Flags().StringVar(&f.file, "secret-file", "", "`file` with the CHAP secret, - is standard input")
}

func (f *chapFlags) set(a *app, c *cobra.Command, t *config.RemoteISCSI) error {
	if f.file != "" && f.secret == "" {
		text, err := a.readSecret(f.file)
		if err != nil {
			return err
		}
		f.secret = config.Secret(text)
	}
	if f.file != "" {
		t.Secret = f.secret
	}
	if c.Flags().Changed("user") {
		if t.User = f.user; f.user == "" {
			t.Secret = ""
		}
	}
	return nil
}

func (a *app) remoteAddISCSI() *cobra.Command {
	f := &chapFlags{}
	c := &cobra.Command{
		Use: "add-iscsi NAME TARGET ADDRESS", Short: "Log in to an iSCSI target elsewhere", Args: cobra.ExactArgs(3),
		Long: `Log in to an iSCSI target elsewhere, at one of its addresses, now and at each boot. Its disks
are then in 'esos disk list', and at /dev/disk/by-path/ip-ADDRESS-iscsi-TARGET-lun-N. The
secret comes from a file (- is standard input), never from the command line, which every
user of the machine can read.`,
		Example: "  esos remote add-iscsi array2 iqn.2026-11.com.example:array2 10.0.0.5\n" +
			"  esos remote add-iscsi array2b iqn.2026-11.com.example:array2 10.0.1.5:3260 --user esos --secret-file - <secret",
	}
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		t := config.RemoteISCSI{Name: args[0], Target: args[1], Portal: args[2]}
		if err := f.set(a, c, &t); err != nil {
			return err
		}
		return doc.AddRemoteISCSI(t)
	})
}

func (a *app) remoteAddNVMe() *cobra.Command {
	n := config.RemoteNVMe{}
	c := &cobra.Command{
		Use: "add-nvme NAME SUBSYSTEM ADDRESS", Short: "Connect to an NVMe subsystem elsewhere", Args: cobra.ExactArgs(3),
		Long: `Connect to an NVMe subsystem elsewhere, at one of its addresses, now and at each boot. Its
disks are then in 'esos disk list'. A subsystem with several addresses has its disks once:
Linux gathers these paths itself.`,
		Example: "  esos remote add-nvme flash nqn.2026-11.com.example:flash 10.0.0.6\n  esos remote add-nvme flash-rdma nqn.2026-11.com.example:flash 10.0.2.6 --transport rdma",
	}
	c.Flags().StringVar(&n.Transport, "transport", "tcp", "tcp or rdma")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		n.Name, n.Subsystem, n.Address = args[0], args[1], args[2]
		return doc.AddRemoteNVMe(n)
	})
}

func (a *app) remoteSet() *cobra.Command {
	f := &chapFlags{}
	var address string
	c := &cobra.Command{
		Use: "set NAME", Short: "Change how an iSCSI target is logged in to", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRemotes,
		Long: `Change how an iSCSI target is logged in to. With another address this machine logs in there
first, and then out at the old one, unless something uses its disks by that way alone. A
session whose disks are in use goes on with the old CHAP name and secret until it ends.`,
		Example: "  esos remote set array2 --secret-file - <secret",
	}
	c.Flags().StringVar(&address, "address", "", "where it listens: ADDRESS:PORT")
	f.add(c)
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		t, err := doc.FindRemoteISCSI(args[0])
		if err != nil {
			return err
		}
		if c.Flags().Changed("address") {
			t.Portal = address
		}
		return f.set(a, c, t)
	})
}

func (a *app) remoteDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME", Short: "Log out, and stay so", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeRemotes,
		Long: "Log out of a target or a subsystem, and stay so. It is refused while something that is\ndeclared stands on its disks. What the disks hold stays on the other array.",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error { return doc.RemoveRemote(args[0]) })
}

func (a *app) completeRemotes(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		if len(args) > 0 {
			return nil
		}
		return doc.RemoteNames()
	})(c, args, typed)
}
