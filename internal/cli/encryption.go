package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) encryption() *cobra.Command {
	c := &cobra.Command{
		Use: "encryption", Aliases: []string{"encrypted"}, Short: "Encrypted block devices",
		Long: `Encrypted block devices (LUKS2), open at /dev/mapper/NAME. Their key is in this machine's
TPM2, in a file among the saved settings, or in somebody's head.`,
	}
	c.AddCommand(a.encryptionList(), a.encryptionShow(), a.encryptionCreate(), a.encryptionDelete(), a.encryptionUnlock(), a.encryptionLock(),
		a.encryptionRecoveryKey())
	return c
}

func (a *app) completeEncrypted(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		var names []string
		for _, e := range doc.Storage.Encrypted {
			if len(args) == 0 {
				names = append(names, e.Name)
			}
		}
		return names
	})(c, args, typed)
}

func encryptedState(e v1.EncryptedState) string {
	switch {
	case e.Open:
		return "open"
	case e.Waits && !e.Made:
		return "waits for a new passphrase"
	case e.Waits:
		return "waits for its passphrase"
	case e.Made:
		return "closed"
	}
	return "not there"
}

func (a *app) encryptionList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the encrypted devices, as they are", Args: cobra.NoArgs,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, _ []string) error {
			all, err := cl.Encrypted(c.Context())
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "device", "key", "state", "size")
				for _, e := range all {
					t.row(e.Name, e.Device, e.Key, encryptedState(e), humanSize(e.Size))
				}
			})
		}),
	}
}

// findEncrypted finds one as it is; nil if it is not declared.
func findEncrypted(c *cobra.Command, cl *client.Client, name string) (*v1.EncryptedState, error) {
	all, err := cl.Encrypted(c.Context())
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
	}
	return nil, nil
}

func (a *app) encryptionShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show an encrypted device", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeEncrypted,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			e, err := findEncrypted(c, cl, args[0])
			if err != nil {
				return err
			}
			if e == nil {
				return notFound(fmt.Errorf("there is no encrypted device %s; 'esos encryption list' shows all", args[0]))
			}
			return a.print(e, func(t *table) {
				t.pair("name", e.Name)
				t.pair("device", e.Device)
				t.pair("key", e.Key)
				t.pair("path", e.Path)
				t.pair("state", encryptedState(*e))
				t.pair("size", humanSize(e.Size))
				t.pair("uuid", e.UUID)
				if e.NoBackup {
					t.pair("recovery key", "nobody has it: 'esos encryption recovery-key "+e.Name+"' shows it")
				}
				t.pair("problem", e.Problem)
			})
		}),
	}
}

func (a *app) encryptionCreate() *cobra.Command {
	e := config.Encrypted{}
	var from secretFrom
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "create NAME", Short: "Encrypt a block device", Args: cobra.ExactArgs(1),
		Long: `Encrypt a block device and open it at /dev/mapper/NAME. A device that holds something is
refused until the plan is told so by name (--destroy). With --key typed a passphrase is
asked for, twice; it is needed again after each reboot ('esos encryption unlock NAME').
With --key tpm2 a recovery key is shown at the end: write it down.`,
		Example: "  esos encryption create vault --device /dev/md/r6 --key tpm2\n  esos encryption create vault --device /dev/disk/by-id/nvme-eui.0025385b21404321 --key typed",
	}
	c.Flags().StringVar(&e.Device, "device", "", "`path` of the block device that holds the encrypted data")
	c.Flags().StringVar(&e.Key, "key", "", "where its key is: tpm2, file or typed")
	c.Flags().StringVar(&e.UUID, "uuid", "", "`UUID` of encrypted data that are there already")
	c.Flags().StringVar(&from.file, "passphrase-file", "", "`file` with the passphrase (- is standard input) instead of asking")
	f.add(c)
	c.RunE = a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
		if e.Device == "" || e.Key == "" {
			return usageError{errors.New("give --device and --key; see --help")}
		}
		made := e
		made.Name = args[0]
		if made.Key == "typed" && !f.dryRun {
			key, err := a.secret("passphrase of "+made.Name, from)
			if err != nil {
				return err
			}
			// Before the document: what is made needs it.
			if err := cl.Unlock(c.Context(), made.Name, v1.Unlock{Passphrase: key, Make: true}); err != nil {
				return err
			}
		}
		if f.why == "" {
			f.why = c.CommandPath() + " " + made.Name
		}
		if err := a.edit(c.Context(), f, func(doc *config.Document) error { return doc.AddEncrypted(made) }); err != nil {
			return err
		}
		if made.Key != "tpm2" || f.dryRun || made.UUID != "" {
			return nil
		}
		return a.showRecoveryKey(c, cl, made.Name)
	})
	return c
}

func (a *app) encryptionDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME...", Short: "Give up encrypted devices", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeEncrypted,
		Long: `Give up encrypted devices that nothing stands on. They are closed, and what they hold
stays, unless their names are given with --destroy, too: then their keys are erased, and
nobody can read them any more.`,
		Example: "  esos encryption delete vault\n  esos encryption delete vault --destroy encrypted/vault",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if err := doc.RemoveEncrypted(name); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) encryptionUnlock() *cobra.Command {
	var from secretFrom
	c := &cobra.Command{
		Use: "unlock NAME", Short: "Open an encrypted device with its passphrase", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeEncrypted,
		Long: `Open an encrypted device with its passphrase, and bring up what stands on it. The first
time, a new passphrase is asked for twice, and the device is encrypted with it.`,
		Example: "  esos encryption unlock vault",
	}
	c.Flags().StringVar(&from.file, "passphrase-file", "", "`file` with the passphrase (- is standard input) instead of asking")
	c.RunE = a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
		e, err := findEncrypted(c, cl, args[0])
		if err != nil {
			return err
		}
		makes := e == nil || !e.Made
		var key config.Secret
		if makes {
			key, err = a.secret("new passphrase of "+args[0], from)
		} else {
			key, err = a.password(args[0], from)
		}
		if err != nil {
			return err
		}
		if err := cl.Unlock(c.Context(), args[0], v1.Unlock{Passphrase: key, Make: makes}); err != nil {
			return err
		}
		if e == nil {
			fmt.Fprintf(a.notes(), "the passphrase is held for ten minutes, for a document that declares %s\n", args[0])
			return nil
		}
		fmt.Fprintf(a.notes(), "%s is open at %s\n", e.Name, e.Path)
		return nil
	})
	return c
}

func (a *app) encryptionLock() *cobra.Command {
	return &cobra.Command{
		Use: "lock NAME", Short: "Close an encrypted device until its passphrase is typed", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeEncrypted,
		Long: "Close an encrypted device whose passphrase is typed. What stands on it must not be in\nuse: delete the devices on it first (their data stays).",
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error { return cl.Lock(c.Context(), args[0]) }),
	}
}

func (a *app) encryptionRecoveryKey() *cobra.Command {
	return &cobra.Command{
		Use: "recovery-key NAME", Short: "Show a recovery key of an encrypted device, once", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeEncrypted,
		Long: `Show the recovery key of an encrypted device whose key is in this machine's TPM2. It opens
the device when the machine's board is gone. Once it was shown, asking again makes a new
one, and the old one opens nothing any more.`,
		RunE: a.with(func(c *cobra.Command, cl *client.Client, args []string) error {
			return a.showRecoveryKey(c, cl, args[0])
		}),
	}
}

func (a *app) showRecoveryKey(c *cobra.Command, cl *client.Client, name string) error {
	key, err := cl.RecoveryKey(c.Context(), name)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "The recovery key of %s is shown once. Write it down, and keep it away from the array.\n", name)
	return a.print(key, func(t *table) { t.row(key.Key) })
}
