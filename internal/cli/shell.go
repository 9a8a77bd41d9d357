package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/tui/console"
)

func (a *app) shell() *cobra.Command {
	return &cobra.Command{
		Use: "shell", Short: "A shell, as the user who logged in", Args: cobra.NoArgs,
		Long: `Start a shell (bash) as the user who logged in, also where esos itself runs by sudo.
The text console's entry Exit to Shell does the same; exit leads back. The console
does not start in such a shell.`,
		RunE: func(*cobra.Command, []string) error { return console.Shell(os.Stdin, os.Stdout, os.Stderr) },
	}
}
