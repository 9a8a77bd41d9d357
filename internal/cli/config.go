package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) config() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The document that says what the array should be"}
	c.AddCommand(a.configShow(), a.configDiff(), a.configHistory(), a.configRollback(), a.configEdit(), a.configSchema(),
		a.configGenerations(), a.configRestore(), a.configBackup(), a.configFactoryReset())
	return c
}

func (a *app) configShow() *cobra.Command {
	var revision int
	var reveal bool
	c := &cobra.Command{
		Use: "show", Short: "Print the document in force, or an older one", Args: cobra.NoArgs,
		Long: "Print the document in force, as YAML (or JSON with -o json). Its secrets read\n(secret); applied again, they stay what they are.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			d, err := documentOf(ctx, c, revision, reveal)
			if err != nil {
				return err
			}
			if a.output != asJSON {
				_, err = a.out.Write(d.Text)
				return err
			}
			doc, err := config.Decode("the array's document", d.Text)
			if err != nil {
				return err
			}
			if reveal {
				text, err := config.MarshalJSONRevealed(doc)
				if err == nil {
					_, err = fmt.Fprintf(a.out, "%s\n", text)
				}
				return err
			}
			return a.print(doc, nil)
		}),
	}
	c.Flags().IntVarP(&revision, "revision", "r", 0, "`number` of an older revision")
	c.Flags().BoolVar(&reveal, "reveal", false, "print the secrets too (only over the Unix socket)")
	return c
}

func documentOf(ctx context.Context, c *client.Client, revision int, reveal bool) (client.Document, error) {
	if revision > 0 {
		return c.RevisionDocument(ctx, revision, reveal)
	}
	return c.Document(ctx, reveal)
}

func (a *app) configDiff() *cobra.Command {
	var file string
	var revision int
	c := &cobra.Command{
		Use: "diff [-f FILE | -r REVISION]", Short: "Show how the document in force differs from another one", Args: cobra.NoArgs,
		Long: `Show what is different in the document in force: from a file (what applying the
file would change in the document), from an older revision (what was changed
since), or without either from the revision before.`,
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the other document, - is standard input")
	c.Flags().IntVarP(&revision, "revision", "r", 0, "the other document is this revision")
	c.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		now, err := decoded(c.Document(ctx, false))
		if err != nil {
			return err
		}
		if file != "" {
			text, err := a.readDocument(file)
			if err != nil {
				return err
			}
			other, err := config.Decode(file, text)
			if err != nil {
				return err
			}
			// As the array would complete it; and its secrets are hidden here.
			if err := config.Complete(other, now); err != nil {
				return err
			}
			return a.showDiff(now, other.Redacted())
		}
		if revision == 0 {
			all, err := c.Revisions(ctx)
			if err != nil {
				return err
			}
			if len(all) < 2 {
				return notFound(errors.New("there is no revision before this one"))
			}
			revision = all[1].Number
		}
		old, err := decoded(c.RevisionDocument(ctx, revision, false))
		if err != nil {
			return err
		}
		return a.showDiff(old, now)
	})
	return c
}

func decoded(d client.Document, err error) (*config.Document, error) {
	if err != nil {
		return nil, err
	}
	return config.Decode("the array's document", d.Text)
}

func (a *app) showDiff(from, to *config.Document) error {
	changes := config.Diff(from, to)
	if a.output != asTable {
		return a.print(append([]config.Change{}, changes...), nil)
	}
	if len(changes) == 0 {
		fmt.Fprintln(a.out, "no differences")
	}
	for _, c := range changes {
		fmt.Fprintln(a.out, c)
	}
	return nil
}

func (a *app) configHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "List the documents that were in force, newest first", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Revisions(ctx)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("revision", "when", "who", "etag", "why")
				for _, r := range all {
					t.row(r.Number, when(r.When), r.Who, r.ETag, r.Why)
				}
			})
		}),
	}
}

func (a *app) configRollback() *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "rollback REVISION", Short: "Make the array again what an older revision says", Args: cobra.ExactArgs(1),
		Long: "Carry out an older document again, as 'esos apply' would: with a plan, a question, and\na new revision. What was written to the disks since stays written.",
	}
	f.add(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return usageError{fmt.Errorf("%q is no revision; 'esos config history' lists them", args[0])}
		}
		ctx := cmd.Context()
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		now, err := cl.Document(ctx, false)
		if err != nil {
			return err
		}
		p, err := cl.PlanRevision(ctx, n, f.destroy)
		if err != nil {
			return err
		}
		if f.dryRun {
			return a.showPlan(p)
		}
		if f.why == "" {
			f.why = fmt.Sprintf("rollback to revision %d", n)
		}
		return a.carryOut(ctx, cl, p, f, true, func() (v1.Operation, error) {
			return cl.Rollback(ctx, v1.Rollback{Revision: n, Why: f.why, Destroy: f.destroy}, now.ETag)
		})
	}
	return c
}

func (a *app) configSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of documents, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = a.out.Write(schema)
			return err
		},
	}
}

func (a *app) configEdit() *cobra.Command {
	f := &changeFlags{}
	c := &cobra.Command{
		Use: "edit", Short: "Edit the document in $EDITOR and apply it", Args: cobra.NoArgs,
		Long: "Open the document in $VISUAL or $EDITOR (else vi); what is saved is applied. If it is\nnot valid, the file is kept and named.",
	}
	f.add(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		old, err := cl.Document(ctx, false)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "esos-edit-") // 0700
		if err != nil {
			return fmt.Errorf("make a place to edit in: %w", err)
		}
		file := filepath.Join(dir, "esos.yaml")
		if err := os.WriteFile(file, old.Text, 0o600); err != nil {
			return fmt.Errorf("write the document to edit: %w", err)
		}
		err = a.editFile(ctx, file)
		if err == nil {
			err = a.applyEdited(ctx, cl, file, old, f)
		}
		if err != nil {
			return fmt.Errorf("%w\nWhat you edited is in %s", err, file)
		}
		return os.RemoveAll(dir)
	}
	return c
}

func (a *app) applyEdited(ctx context.Context, cl *client.Client, file string, old client.Document, f *changeFlags) error {
	text, err := a.readDocument(file)
	if err != nil {
		return err
	}
	if bytes.Equal(text, old.Text) {
		fmt.Fprintln(a.out, "no changes")
		return nil
	}
	return a.change(ctx, cl, text, old.ETag, f, true)
}

// editFile runs the user's editor.
func (a *app) editFile(ctx context.Context, file string) error {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	if editor == "" {
		editor = "vi"
	}
	words := strings.Fields(editor) // "code --wait"
	c := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	c.Stdin, c.Stdout, c.Stderr = a.in, a.out, a.err
	if err := c.Run(); err != nil {
		return fmt.Errorf("run the editor %s: %w", words[0], err)
	}
	return nil
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{Version(), runtime.Version()}
			if a.output == asTable {
				_, err := fmt.Fprintf(a.out, "esos %s (%s)\n", v.Version, v.Go)
				return err
			}
			return a.print(v, nil)
		},
	}
}
