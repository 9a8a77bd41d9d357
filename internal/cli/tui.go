package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/console"
	"github.com/esos-project/esos/internal/tui/frame"
)

func (a *app) tui() *cobra.Command {
	return &cobra.Command{
		Use: "tui", Short: "The text console: menus, forms and the array at a glance", Args: cobra.NoArgs,
		Long: `Show the text console on this terminal: the array at a glance, and menus for all that
it does. It starts at login on the appliance (docs/console.md says how not to). It
needs a terminal of 80x24 or more; whether it has colours, a mouse or UTF-8 it finds
out by TERM, NO_COLOR and the locale.

When the daemon does not answer the console says so, and goes on when it does.`,
		RunE: func(c *cobra.Command, _ []string) error { return a.showConsole(c.Context()) },
	}
}

func (a *app) showConsole(ctx context.Context) error {
	if !isTerminal(a.in) || !isTerminal(a.out) {
		return usageError{errors.New("the console needs a terminal: here, standard input or output is none (over SSH: ssh -t)")}
	}
	cl, err := a.consoleClient()
	if err != nil {
		return err
	}
	defer cl.Close()
	screen, blocks, err := openScreen(os.Getenv)
	if err != nil {
		return err
	}
	// Whoever ends it, or hangs up, wants nothing else.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM)
	defer stop()
	who := sitting()
	note := consoleLog(a.dialLog, who)
	defer note("left")
	note("came")
	s := frame.Setup{Client: cl, Screen: screen, User: who, Blocks: blocks, Version: Version(), Theme: frame.FindTheme(loadLook(who).Theme),
		Command: a.consoleCommand(), Shell: console.Leave, Root: console.AskForRoot,
		Confirmed: func(what string) { note("confirmed: " + what) },
		Keep:      func(t frame.Theme) error { return saveLook(who, look{Theme: t.Name}) }}
	if os.Getenv("NO_COLOR") != "" || screen.Colors() < 8 {
		s.Theme = frame.Plainly()
	}
	return tui.Run(ctx, s)
}

// consoleClient is connect for who waits until there is a daemon.
func (a *app) consoleClient() (*client.Client, error) {
	cl, err := a.connect()
	var gone *client.UnreachableError
	if errors.As(err, &gone) {
		return client.New(client.Options{Socket: systemRunDir + "/" + socketName})
	}
	return cl, err
}

// openScreen opens the terminal. blocks says whether it has block elements.
func openScreen(getenv func(string) string) (s tcell.Screen, blocks bool, err error) {
	name := getenv("TERM")
	if name == "" || name == "dumb" {
		return nil, false, usageError{fmt.Errorf("the console needs a terminal that can move its cursor; TERM=%s says that this one cannot (try TERM=vt100)", name)}
	}
	info, err := tcell.LookupTerminfo(name)
	if err != nil { // nearly all that there is does what a VT100 did
		if info, err = tcell.LookupTerminfo("vt100"); err != nil {
			return nil, false, fmt.Errorf("find out about the terminal %s: %w", name, err)
		}
	}
	tcell.SetEncodingFallback(tcell.EncodingFallbackASCII)
	if strings.HasPrefix(name, "vt") && getenv("LC_ALL") == "" && getenv("LC_CTYPE") == "" && getenv("LANG") == "" {
		// Terminals of that age do not know UTF-8; lines come from their other
		// character set. Only the terminal is to see this.
		if err := os.Setenv("LC_ALL", "C"); err != nil {
			return nil, false, err
		}
		defer func() { _ = os.Unsetenv("LC_ALL") }()
	}
	if s, err = tcell.NewTerminfoScreenFromTtyTerminfo(nil, unpadded(info)); err == nil {
		err = s.Init()
	}
	if err != nil {
		return nil, false, fmt.Errorf("open the terminal: %w", err)
	}
	// The kernel's own console has a font without most of them.
	return s, s.CharacterSet() == "UTF-8" && name != "linux" && !strings.HasPrefix(name, "vt"), nil
}

var padding = regexp.MustCompile(`\$<[0-9.*/]+>`)

// unpadded is a description without the pauses that terminals of 1978 needed:
// each change of colour would wait for them.
func unpadded(info *terminfo.Terminfo) *terminfo.Terminfo {
	c := *info
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String && f.CanSet() {
			f.SetString(padding.ReplaceAllString(f.String(), ""))
		}
	}
	return &c
}

// sitting is the name of who sits at the terminal, sudo or not.
func sitting() string {
	if name := os.Getenv("SUDO_USER"); name != "" && os.Geteuid() == 0 {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", os.Geteuid())
}

// consoleLog tells the system's log what is done on consoles; where there is none
// nothing is said.
func consoleLog(dial func(syslog.Priority, string) (*syslog.Writer, error), who string) func(string) {
	w, err := dial(syslog.LOG_LOCAL4|syslog.LOG_INFO, "esos_tui")
	if err != nil {
		return func(string) {}
	}
	return func(what string) { _ = w.Info(who + ": " + what) }
}

// consoleCommand runs commands of esos as this one was: with the same array, in
// this process. Those that need root go through sudo, if it asks for nothing
// (Interface, Become Root has it ask).
func (a *app) consoleCommand() func(context.Context, []string, io.Reader, io.Writer) int {
	same := a.sameArray()
	return func(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
		args = append(slices.Clone(same), args...)
		if os.Geteuid() == 0 || !rootOnly(args[len(same):]) || console.Root(ctx) != nil {
			return Main(ctx, args, in, out, out)
		}
		self, err := os.Executable()
		if err != nil {
			return Main(ctx, args, in, out, out)
		}
		c := exec.CommandContext(ctx, "sudo", append([]string{"-n", self}, args...)...)
		c.Stdin, c.Stdout, c.Stderr = in, out, out
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
		err = c.Run()
		var ended *exec.ExitError
		switch {
		case errors.As(err, &ended):
			return ended.ExitCode()
		case err != nil:
			fmt.Fprintf(out, "esos: run it as root: %v\n", err)
			return exitFailed
		}
		return exitOK
	}
}

// sameArray are the flags that lead another command to the same array.
func (a *app) sameArray() []string {
	var same []string
	for _, f := range []struct{ name, value string }{{"socket", a.socket}, {"api", a.url}, {"fingerprint", a.fingerprint}, {"token-file", a.tokenFile}} {
		if f.value != "" {
			same = append(same, "--"+f.name, f.value)
		}
	}
	return same
}

// rootOnly says whether a command works on the machine itself, which only root
// may; the others ask the daemon.
func rootOnly(args []string) bool {
	if len(args) == 0 {
		return false
	}
	switch args[0] {
	case "sync":
		return !slices.Contains(args, "--last")
	case "backup", "medium", "crash", "logs", "upgrade", "rollback", "slot", "raid-cli", "hwraid", "support-bundle", "first-boot", "install":
		return true
	case "config":
		return len(args) > 1 && slices.Contains([]string{"generations", "restore", "backup", "factory-reset"}, args[1])
	}
	return false
}
