package cli

import (
	"errors"
	"fmt"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) exportCommand() *cobra.Command {
	var format, dataDir string
	var reveal bool
	var revision int
	c := &cobra.Command{
		Use:   "export --format FORMAT [FILE]",
		Short: "Write the document in force as scst.conf or saveconfig.json",
		Long: `Write the devices and targets of the document in force as SCST's scst.conf or LIO's
saveconfig.json, to a file that only its owner can read or to standard output. What
the format cannot say is listed on standard error; lines with a ! are what
initiators would notice.

A document with CHAP secrets is written with --reveal only: a file without them
would serve its disks to everybody, or to whoever knows what stands in their place.`,
		Example: "  esos export --format scst scst.conf\n  esos export --format lio --reveal /etc/target/saveconfig.json",
		Args:    cobra.MaximumNArgs(1),
	}
	c.Flags().StringVar(&format, "format", "", "scst or lio (needed)")
	c.Flags().BoolVar(&reveal, "reveal", false, "write the CHAP secrets (only over the Unix socket)")
	c.Flags().IntVarP(&revision, "revision", "r", 0, "`number` of an older revision")
	c.Flags().StringVar(&dataDir, "data-dir", systemDataDir, "`directory` that relative paths of the document are below")
	c.RunE = func(c *cobra.Command, args []string) error {
		if format == "" {
			return usageError{errors.New("which format? name it with --format scst or --format lio")}
		}
		f, err := foreignFormat(format, "", nil)
		if err != nil {
			return err
		}
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		doc, err := a.documentToExport(c, cl, revision, reveal)
		if err != nil {
			return err
		}
		out, err := f.Write(doc, carry.Options{DataDir: dataDir})
		if err != nil {
			return err
		}
		if len(args) == 0 || args[0] == "-" {
			if _, err := a.out.Write(out.Text); err != nil {
				return fmt.Errorf("write the file: %w", err)
			}
		} else if err := renameio.WriteFile(args[0], out.Text, 0o600, renameio.IgnoreUmask()); err != nil {
			return fmt.Errorf("write %s: %w", args[0], err)
		}
		showLeft(a.err, out.Left, "cannot be said in this format")
		return nil
	}
	return c
}

// documentToExport reads the document with the secrets that the file is to have.
func (a *app) documentToExport(c *cobra.Command, cl *client.Client, revision int, reveal bool) (*config.Document, error) {
	d, err := documentOf(c.Context(), cl, revision, reveal)
	if err != nil {
		return nil, err
	}
	doc, err := config.Decode("the array's document", d.Text)
	if err != nil {
		return nil, err
	}
	if reveal {
		return doc, nil
	}
	secrets := len(doc.ISCSI.Discovery.Users)
	for _, t := range doc.Targets {
		secrets += len(t.Auth.Users)
	}
	if secrets > 0 {
		return nil, usageError{fmt.Errorf("the document has %s: --reveal writes their secrets into the file; without them it would not keep the same people out", count(secrets, "CHAP user"))}
	}
	return doc, nil
}
