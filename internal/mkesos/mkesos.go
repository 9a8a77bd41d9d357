// Package mkesos is the mkesos command: it makes images of the appliance,
// writes them to sticks and CDs, and runs them in a virtual machine.
package mkesos

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/version"
)

// Main runs one command and returns its exit code: 0, or 1 after an error.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	c := root()
	c.SetArgs(args)
	c.SetIn(in)
	c.SetOut(out)
	c.SetErr(errs)
	if err := c.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(errs, "mkesos: %s\n", strings.TrimPrefix(err.Error(), "mkesos: "))
		return 1
	}
	return 0
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "mkesos",
		Short: "Make, write and try images of the ESOS appliance",
		Long: `mkesos builds the image of the appliance from Debian packages and this source
tree, writes it to a stick, makes an installer CD of it, and runs it in a virtual
machine.`,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.AddCommand(buildCommand(), writeCommand(), isoCommand(), runCommand())
	return c
}

// defaultWork is where builds keep what they make, below the source tree.
const defaultWork = ".cache/image"

// onTerminal tells whether w is a terminal that a line can be rewritten on.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
