package tui

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/tui"
	"github.com/esos-project/esos/internal/tui/tuitest"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/mail"
	"github.com/esos-project/esos/test/stand"
)

// function is something that users of earlier ESOS had in the text console, by
// its ID, and how it is done now, from the menu to what comes of it on the
// machine.
type function struct {
	id, name string
	do       func(v *visit)
}

// functions are all of storage and of the machine itself, in an order in which
// each finds what it needs: what stands on the disks is built, looked at, and
// taken down again.
func functions() []function { return slices.Concat(storageFunctions(), systemFunctions()) }

// TestScripts: every function of these menus is done in TestParity.
func TestScripts(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(level.Root(t), "internal", "tui", "testdata", "functions.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	have := map[string]bool{}
	for _, f := range functions() {
		if have[f.id] {
			t.Errorf("%s has two scripts", f.id)
		}
		have[f.id] = true
	}
	n := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		id, name, _ := strings.Cut(lines.Text(), "\t")
		if !strings.ContainsAny(id[:1], "SHOLF") {
			continue
		}
		n++
		if !have[id] {
			t.Errorf("%s (%s) has no script", id, name)
		}
		delete(have, id)
	}
	if err := lines.Err(); err != nil || n < 30 {
		t.Errorf("%d functions were read: %v", n, err)
	}
	for id := range have {
		t.Errorf("%s is no function that there was", id)
	}
}

// TestParity does at the console, on an appliance with blank disks, what the
// menus of storage and of the machine have had since earlier ESOS.
func TestParity(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 60*time.Minute)
	cable := filepath.Join(level.ShortDir(t), "c")
	o := appliance.Options{Memory: 3072, Cards: []vm.Card{{MAC: cardA, Cable: cable + "a"}, {MAC: cardB, Cable: cable + "b"}}}
	for _, serial := range []string{"d1", "d2", "d3", "d4", "d5", "d6"} {
		o.Others = append(o.Others, blank(t, serial))
	}
	a := shared.New(ctx, t, o)
	a.Boot(ctx)
	socket, mails := forward(t, a), mail.Catch(t)
	for _, f := range functions() {
		t.Run(f.id+" "+f.name, func(t *testing.T) { f.do(call(ctx, t, a, socket, mails)) })
	}
}

// MAC addresses of the appliance's cards besides the one that carries the test.
const (
	cardA = "52:54:00:e5:07:01"
	cardB = "52:54:00:e5:07:02"
)

// forward makes the API's socket of the appliance one of this machine's, and
// returns its path.
func forward(t *testing.T, a *stand.Stand) string {
	t.Helper()
	socket := filepath.Join(level.ShortDir(t), "api.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer here.Close()
				there, err := a.Remote.Dial("unix", "/run/esos/api.sock")
				if err != nil {
					return // the client is told by the end of its connection
				}
				defer there.Close()
				go func() {
					_, _ = io.Copy(there, here) // either may end first
					_ = there.Close()
				}()
				_, _ = io.Copy(here, there)
			}()
		}
	}()
	return socket
}

// visit is somebody at the appliance's console for one function.
type visit struct {
	*tuitest.Console
	ctx   context.Context
	t     *testing.T
	a     *stand.Stand
	mails *mail.Catcher // a mail server that all visits have in common
}

// call starts a console: its terminal is here, the array it asks and the
// commands of esos that it runs are the appliance's.
func call(ctx context.Context, t *testing.T, a *stand.Stand, socket string, mails *mail.Catcher) *visit {
	t.Helper()
	mine := *a
	mine.T = t
	api, err := client.New(client.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	v := &visit{ctx: ctx, t: t, a: &mine, mails: mails}
	v.Console = tuitest.New(t, tuitest.Options{Client: api, Menus: tui.Menus, Patience: patience,
		Command: func(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
			return v.esos(ctx, args, in, out)
		}})
	return v
}

// esos runs a command of esos on the appliance.
func (v *visit) esos(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
	line := "esos"
	for _, arg := range args {
		line += " '" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	var input []byte
	if in != nil {
		var err error
		if input, err = io.ReadAll(in); err != nil {
			return 1
		}
	}
	said, err := v.a.Remote.Pipe(ctx, line, string(input))
	_, _ = io.WriteString(out, said)
	var exit *appliance.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.Status
	case err != nil:
		return 1
	}
	return 0
}

// open opens the entry of a function.
func (v *visit) open(id string) {
	v.t.Helper()
	for _, m := range tui.Menus() {
		for _, e := range m.Actions {
			if slices.Contains(e.IDs, id) {
				v.Entry(m, e.Title)
				return
			}
		}
	}
	v.t.Fatalf("no menu has %s", id)
}

// down goes down in a list, from its first row to the one that has text.
func (v *visit) down(first, text string) {
	v.t.Helper()
	v.Wait(text)
	v.Press(tcell.KeyHome)
	lines := strings.Split(v.Text(), "\n")
	line := func(text string) int {
		return slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, text) })
	}
	for range line(text) - line(first) {
		v.Press(tcell.KeyDown)
	}
}

// next goes to the next field, n times.
func (v *visit) next(n int) {
	for range n {
		v.Press(tcell.KeyTab)
	}
}

// submit goes through what is left of a form with Enter, until its plan is
// shown.
func (v *visit) submit() {
	v.t.Helper()
	for range 20 {
		if s := v.Text(); strings.Contains(s, "Press c to carry this out") || strings.Contains(s, "DATA ARE LOST") {
			return
		}
		v.Enter()
	}
	v.t.Fatalf("no plan is shown:\n%s", v.Text())
}

// yes presses the first button of a question, which is not the one that has the
// cursor.
func (v *visit) yes() { v.t.Helper(); v.Press(tcell.KeyLeft, tcell.KeyEnter) }

// machine runs a command on the appliance whose output must have these texts,
// and returns it.
func (v *visit) machine(command string, texts ...string) string {
	v.t.Helper()
	said := v.a.Run(v.ctx, command)
	for _, text := range texts {
		if !strings.Contains(said, text) {
			v.t.Errorf("%s: no %q:\n%s", command, text, said)
		}
	}
	return said
}

// lacks runs a command on the appliance whose output must not have these texts.
func (v *visit) lacks(command string, texts ...string) {
	v.t.Helper()
	said := v.a.Run(v.ctx, command)
	for _, text := range texts {
		if strings.Contains(said, text) {
			v.t.Errorf("%s: %q is still there:\n%s", command, text, said)
		}
	}
}
