package cli

import (
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/config"
)

// listedHost is a host with the subsystem that it may use.
type listedHost struct {
	Subsystem string `json:"subsystem"`
	config.NVMeHost
}

func (a *app) nvmeHost() *cobra.Command {
	c := &cobra.Command{
		Use: "host", Aliases: []string{"hosts"}, Short: "Hosts that may connect to a subsystem",
		Long: `Hosts that may connect to a subsystem. A host's NQN is in its /etc/nvme/hostnqn. With a
key it must prove who it is (DH-HMAC-CHAP); 'nvme gen-dhchap-key' makes one. Keys are
read from files, or from standard input (-); never from the command line, where others
could see them.`,
	}
	list := &cobra.Command{
		Use: "list [SUBSYSTEM]", Short: "List the hosts", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeSubsystems,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			subsystems, err := someSubsystems(doc, args)
			if err != nil {
				return err
			}
			all := []listedHost{}
			for _, s := range subsystems {
				for _, h := range s.Hosts {
					all = append(all, listedHost{s.NQN, h})
				}
			}
			return a.print(all, func(t *table) {
				t.head("subsystem", "host", "auth")
				for _, h := range all {
					t.row(h.Subsystem, h.NQN, authOf(h.NVMeHost))
				}
			})
		}),
	}
	create := &cobra.Command{
		Use: "create SUBSYSTEM HOST", Short: "Let a host connect to a subsystem", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeSubsystems,
		Example: "  esos nvme host create mail nqn.2026-11.com.example:host1\n  esos nvme host create mail nqn.2026-11.com.example:host1 --key-file /root/host1.key",
	}
	made := &hostKeyFlags{}
	made.add(create)
	a.edited(create, func(c *cobra.Command, args []string, doc *config.Document) error {
		s, err := findSubsystem(doc, args[0])
		if err != nil {
			return err
		}
		h := config.NVMeHost{NQN: args[1]}
		if _, err := made.set(a, c, &h); err != nil {
			return err
		}
		return doc.AddNVMeHost(s.NQN, h)
	})
	set := &cobra.Command{
		Use: "set HOST", Short: "Change how a host proves who it is, at all its subsystems", Args: cobra.ExactArgs(1),
		Long: "Change how a host proves who it is, at all its subsystems. Those that are connected are asked\nat their next connection.",
	}
	changed := &hostKeyFlags{}
	changed.add(set)
	var none bool
	set.Flags().BoolVar(&none, "no-key", false, "ask it for no proof any more")
	a.edited(set, func(c *cobra.Command, args []string, doc *config.Document) error {
		found := false
		for i := range doc.NVMe.Subsystems {
			for j := range doc.NVMe.Subsystems[i].Hosts {
				h := &doc.NVMe.Subsystems[i].Hosts[j]
				if h.NQN != args[0] {
					continue
				}
				found = true
				if none {
					*h = config.NVMeHost{NQN: h.NQN}
				}
				any, err := changed.set(a, c, h)
				if err != nil {
					return err
				}
				if !any && !none {
					return usageError{errNothing}
				}
			}
		}
		if !found {
			return notFound(errNoHost(args[0]))
		}
		return nil
	})
	remove := &cobra.Command{Use: "delete SUBSYSTEM HOST...", Short: "Let hosts connect no more", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeSubsystems}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		s, err := findSubsystem(doc, args[0])
		if err != nil {
			return err
		}
		for _, h := range args[1:] {
			if err := doc.RemoveNVMeHost(s.NQN, h); err != nil {
				return err
			}
		}
		return nil
	})
	c.AddCommand(list, create, set, remove)
	return c
}

type errNoHost string

// Error says how to find the hosts that there are.
func (e errNoHost) Error() string {
	return "no subsystem names host " + string(e) + "; 'esos nvme host list' shows all"
}

func authOf(h config.NVMeHost) string {
	switch {
	case h.DHCHAPKey == "":
		return "none"
	case h.DHCHAPCtrlKey != "":
		return "mutual DH-HMAC-CHAP"
	}
	return "DH-HMAC-CHAP"
}

// hostKeyFlags say how a host proves who it is.
type hostKeyFlags struct {
	keyFile, ctrlKeyFile, hash, group string
	key, ctrlKey                      config.Secret // read once, however often the edit is made
}

func (f *hostKeyFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.keyFile, "key-file", "", "`file` with the host's key (DHHC-1:...), - is standard input")
	c.Flags().StringVar(&f.ctrlKeyFile, "ctrl-key-file", "", "`file` with the array's key, for hosts that ask for it")
	c.Flags().StringVar(&f.hash, "hash", "", "sha256 (default), sha384 or sha512")
	c.Flags().StringVar(&f.group, "dhgroup", "", "Diffie-Hellman group: ffdhe2048, ffdhe3072, ffdhe4096, ffdhe6144 or ffdhe8192 (default: none)")
}

func (f *hostKeyFlags) set(a *app, c *cobra.Command, h *config.NVMeHost) (any bool, err error) {
	for _, k := range []struct {
		file string
		read *config.Secret
		to   *config.Secret
	}{{f.keyFile, &f.key, &h.DHCHAPKey}, {f.ctrlKeyFile, &f.ctrlKey, &h.DHCHAPCtrlKey}} {
		if k.file == "" {
			continue
		}
		if *k.read == "" {
			if *k.read, err = a.secret("key of "+h.NQN, secretFrom{k.file}); err != nil {
				return any, err
			}
		}
		*k.to, any = *k.read, true
	}
	if c.Flags().Changed("hash") {
		h.DHCHAPHash, any = f.hash, true
	}
	if c.Flags().Changed("dhgroup") {
		h.DHCHAPDHGroup, any = f.group, true
	}
	return any, nil
}
