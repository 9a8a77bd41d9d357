package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/logs"
	"github.com/esos-project/esos/internal/medium/disk"
	"github.com/esos-project/esos/internal/shelf"
)

func (a *app) logs() *cobra.Command {
	c := &cobra.Command{Use: "logs", Short: "What the machine logged, kept on its medium"}
	list := &cobra.Command{
		Use: "list", Short: "List the archives of logs on the medium, the oldest first", Args: cobra.NoArgs,
		Long: `List the archives of logs on the boot medium, the oldest first. /var/log is in memory:
it is archived at shutdown, when it has more than 50 MiB and every seven days. The
oldest archives make room for newer ones, and for the dump of a crash. It needs root,
and not the daemon.`,
		RunE: a.onShelf("list the archives of logs", func(s shelf.Shelf, _ []string) error {
			all, err := logs.List(s)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "until", "size")
				for _, x := range all {
					t.row(x.Name, when(x.When), disk.HumanSize(x.Size))
				}
			})
		}),
	}
	export := &cobra.Command{
		Use: "export NAME FILE", Short: "Copy an archive of logs off the medium", Args: cobra.ExactArgs(2),
		Long: `Copy an archive of logs off the medium: a tar file compressed with zstd, with the
files of /var/log and the journal as text. FILE - is the standard output. NAME latest
is the newest archive. It needs root.`,
		Example: "  esos logs export latest - | tar --zstd -xO var/log/syslog | less",
		RunE: a.onShelf("export an archive of logs", func(s shelf.Shelf, args []string) error {
			x, err := logs.Find(s, args[0])
			if errors.Is(err, logs.ErrNotFound) {
				return notFound(err)
			}
			if err != nil {
				return err
			}
			return a.writeTo(args[1], func(w io.Writer) error {
				f, err := os.Open(filepath.Join(s.Archives(), x.Name))
				if err != nil {
					return err
				}
				defer f.Close()
				_, err = io.Copy(w, f)
				return err
			})
		}),
	}
	c.AddCommand(list, export, a.logsArchive())
	return c
}

func (a *app) logsArchive() *cobra.Command {
	var reason string
	var ifNeeded bool
	c := &cobra.Command{
		Use: "archive", Short: "Archive the logs on the medium now", Args: cobra.NoArgs,
		Long: `Archive the logs on the boot medium now, and give back their memory: files that were
turned over are removed, and those that are written to begin anew, but for small ones.
If the medium is gone the logs stay, the newest 50 MiB of them, and the alert
logs.not_archived is raised. It needs root.`,
	}
	c.Flags().StringVar(&reason, "reason", "esos logs archive", "why, for the log")
	c.Flags().BoolVar(&ifNeeded, "if-needed", false, "only if they have become large or old")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := forRoot("archive the logs"); err != nil {
			return err
		}
		k := logs.Here()
		if ifNeeded {
			needed, why, err := k.Needed()
			if err != nil || !needed {
				return err
			}
			reason = why
		}
		x, err := k.Archive(c.Context(), reason)
		if err != nil {
			return mediumCode(err)
		}
		if a.output != asTable {
			return a.print(x, nil)
		}
		_, err = fmt.Fprintf(a.out, "archived as %s, %s\n", x.Name, disk.HumanSize(x.Size))
		return err
	}
	return c
}
