// Package cli is the esos command. Its verbs speak to the daemon through the
// REST API (internal/client) and nothing else; only `esos serve` is the daemon.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/version"
)

// Main runs one command and returns its exit code (docs/cli.md lists them).
// args are without the program's name.
func Main(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	return (&app{in: in, out: out, err: err, dialLog: syslog.New}).main(ctx, args)
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	e := root.ExecuteContext(ctx)
	if e == nil {
		return exitOK
	}
	if !errors.Is(e, errSilent) {
		fmt.Fprintf(a.err, "esos: %s\n", strings.TrimPrefix(e.Error(), "esos: "))
		if hint := hintFor(e); hint != "" {
			fmt.Fprintf(a.err, "%s\n", hint)
		}
	}
	return exitCode(e)
}

// app is what all commands share.
type app struct {
	in       io.Reader
	out, err io.Writer
	lines    *bufio.Reader // of in, once a question was asked

	socket, url, fingerprint, tokenFile string
	output                              string

	dialLog func(syslog.Priority, string) (*syslog.Writer, error) // the system's log
}

// Version is the software's version.
func Version() string { return version.String() }

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "esos",
		Short: "Enterprise Storage OS: serve block storage to other machines",
		Long: `esos turns this machine into a block-storage array: disks and CD-ROMs that other
machines use over iSCSI.

One document says what the array should be (esos config show). 'esos apply' makes
it so; the other verbs make small edits to the same document. Start the array
with 'esos serve'.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkOutput() },
	}
	f := c.PersistentFlags()
	f.StringVar(&a.socket, "socket", "", "the daemon's Unix `path` (default $ESOS_SOCKET, then /run/esos/api.sock, then ./var/run/api.sock)")
	f.StringVar(&a.url, "api", "", "https://host:port of an array elsewhere (default $ESOS_API)")
	f.StringVar(&a.fingerprint, "fingerprint", "", "certificate of that array, sha256:... as its 'esos status' shows (default $ESOS_FINGERPRINT)")
	f.StringVar(&a.tokenFile, "token-file", "", "`file` with the token for that array (default the token in $ESOS_TOKEN)")
	f.StringVarP(&a.output, "output", "o", "table", "output: table, json or yaml")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	c.AddGroup(&cobra.Group{ID: "array", Title: "The array:"}, &cobra.Group{ID: "storage", Title: "What devices stand on:"}, &cobra.Group{ID: "edit", Title: "Edit its document:"},
		&cobra.Group{ID: "watch", Title: "Watch it:"})
	for _, g := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{"array", []*cobra.Command{a.serve(), a.tui(), a.plan(), a.apply(), a.drift(), a.config(), a.importCommand(), a.exportCommand(), a.sync(), a.backup(), a.login()}},
		{"storage", []*cobra.Command{a.disk(), a.remote(), a.multipath(), a.array(), a.encryption(), a.volumeGroup(), a.volume(), a.filesystem(), a.snapshot(), a.image()}},
		{"edit", []*cobra.Command{a.device(), a.target(), a.group(), a.initiator(), a.lun(), a.portal(), a.nvme(), a.network(), a.clock(), a.mail(), a.account(), a.service(), a.alua(), a.auth(), a.user(), a.token()}},
		{"watch", []*cobra.Command{a.status(), a.alert(), a.session(), a.statistics(), a.events(), a.operation()}},
	} {
		for _, sub := range g.commands {
			sub.GroupID = g.id
			c.AddCommand(sub)
		}
	}
	c.AddCommand(a.versionCommand(), a.firstBoot(), a.raidCLI(), a.hardwareRAID(), a.medium(), a.crash(), a.logs(), a.upgrade(), a.rollback(), a.slot(), a.install(), a.shell(), a.supportBundle())
	c.InitDefaultCompletionCmd()
	finish(c)
	return c
}

// finish gives every command what cobra leaves to each: wrong arguments are
// usage errors, and a command that only has subcommands needs one.
func finish(c *cobra.Command) {
	for _, sub := range c.Commands() {
		finish(sub)
	}
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, a []string) error {
			if err := args(c, a); err != nil {
				return usageError{fmt.Errorf("%w\nusage: %s", err, c.UseLine())}
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.Run == nil && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			s := fmt.Sprintf("%q is no command of %s", args[0], c.CommandPath())
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				s += fmt.Sprintf("; did you mean %q?", near[0])
			}
			return usageError{errors.New(s + fmt.Sprintf(" (see '%s --help')", c.CommandPath()))}
		}
		c.SuggestionsMinimumDistance = 2
	}
}

// connect makes a client of the array that the flags and the environment name.
func (a *app) connect() (*client.Client, error) {
	o := client.Options{URL: a.url, Fingerprint: a.fingerprint, Socket: a.socket}
	if o.URL == "" && o.Socket == "" {
		o.URL = os.Getenv("ESOS_API")
	}
	if o.URL != "" {
		if o.Fingerprint == "" {
			o.Fingerprint = os.Getenv("ESOS_FINGERPRINT")
		}
		o.Token = os.Getenv("ESOS_TOKEN")
		if a.tokenFile != "" {
			t, err := os.ReadFile(a.tokenFile)
			if err != nil {
				return nil, fmt.Errorf("read the token: %w", err)
			}
			o.Token = strings.TrimSpace(string(t))
		}
		c, err := client.New(o)
		if err != nil {
			return nil, usageError{err}
		}
		return c, nil
	}
	if o.Socket == "" {
		o.Socket = os.Getenv("ESOS_SOCKET")
	}
	if o.Socket == "" {
		s, err := findSocket()
		if err != nil {
			return nil, err
		}
		o.Socket = s
	}
	return client.New(o)
}

// Where the socket is when nobody says so.
const (
	systemRunDir  = "/run/esos"
	systemDataDir = "/var/lib/esos"
	socketName    = "api.sock"
)
