package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/image/raidcli"
)

// raidCLI is about the vendors' RAID programs on the machine that it runs on:
// it does not ask the daemon, and works without one.
func (a *app) raidCLI() *cobra.Command {
	c := &cobra.Command{
		Use: "raid-cli", Short: "RAID controllers' own programs on this machine",
		Long: `The command-line programs of RAID controllers' vendors, on this machine. They are
proprietary: whoever has one puts it in, in the file that the vendor ships it in.`,
	}
	var root string
	c.PersistentFlags().StringVar(&root, "root", "/", "`directory` of the system to put them into")
	list := &cobra.Command{
		Use: "list", Short: "List the programs that are known, and which are here", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listRAIDCLIs(root) },
	}
	add := &cobra.Command{
		Use: "add NAME=FILE", Short: "Put in a vendor's program", Args: cobra.ExactArgs(1),
		Long: `Put in the program NAME from the FILE in which its vendor ships it: a zip, tar, rpm
or deb, one in another, or the bare program. It goes below /opt, which is saved
with the appliance's settings, and is called by its name.`,
		Example: "  esos raid-cli add storcli64=007.2707.0000.0000_storcli_rel.zip\n  esos raid-cli add perccli64=PERCCLI_Linux.tar.gz",
		RunE:    func(c *cobra.Command, args []string) error { return a.addRAIDCLI(c, root, args[0]) },
	}
	remove := &cobra.Command{
		Use: "remove NAME", Aliases: []string{"delete"}, Short: "Take out a vendor's program", Args: cobra.ExactArgs(1),
		ValidArgsFunction: completeRAIDCLIs,
		RunE: func(_ *cobra.Command, args []string) error {
			err := raidcli.Remove(root, args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return notFound(err)
			}
			return err
		},
	}
	c.AddCommand(list, add, remove)
	return c
}

// raidProgram is a program in JSON and YAML.
type raidProgram struct {
	Name      string `json:"name"`
	Vendor    string `json:"vendor"`
	Installed bool   `json:"installed"`
	Size      int64  `json:"size,omitempty"`
}

func (a *app) listRAIDCLIs(root string) error {
	states, err := raidcli.List(root)
	if err != nil {
		return err
	}
	var programs []raidProgram
	for _, s := range states {
		programs = append(programs, raidProgram{s.Name, s.Vendor, s.Installed, s.Size})
	}
	return a.print(programs, func(t *table) {
		t.head("name", "here", "controllers")
		for _, p := range programs {
			here := "no"
			if p.Installed {
				here = "yes"
			}
			t.row(p.Name, here, p.Vendor)
		}
	})
}

func (a *app) addRAIDCLI(c *cobra.Command, root, argument string) error {
	tool, file, err := raidcli.ParseArgument(argument)
	if err != nil {
		return usageError{err}
	}
	done, err := raidcli.Install(c.Context(), root, tool.Name, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s is %s, from %s\n", tool.Name, done.Path, clean(done.From))
	if len(done.Missing) > 0 {
		fmt.Fprintf(a.err, "It may not start: it needs %s, which neither came with it nor is in the system.\n", clean(strings.Join(done.Missing, ", ")))
	}
	if root == "/" {
		fmt.Fprintln(a.err, "It is kept with the settings, when they are saved next; 'esos sync' saves them now.")
	}
	return nil
}

func completeRAIDCLIs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range raidcli.Known() {
		names = append(names, t.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
