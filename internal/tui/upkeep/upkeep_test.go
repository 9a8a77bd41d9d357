package upkeep_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
	"github.com/esos-project/esos/internal/tui/upkeep"
)

// document is an array with something on it.
const document = `version: 1
name: vault
id: 6f1a3f0e-52d1-4a6c-8a0e-0d1c2b3a4f5e
devices:
  - {name: db01, handler: vdisk_nullio, size: 1GiB, attributes: {}}
  - {name: scratch, handler: vdisk_memory, size: 4MiB}
iscsi:
  portals:
    - {name: front, address: "192.0.2.10:3260"}
targets:
  - name: iqn.2026-11.com.example:vault
    auth:
      users:
        - {name: joe, secret: twelve-chars}
    groups:
      - name: hosts
        initiators: ["iqn.1994-05.com.redhat:*"]
        luns:
          - {lun: 0, device: db01}
`

// stage is a console with an array and imitated commands of esos.
type stage struct {
	*tuitest.Console
	a *apitest.Array
	m *commands
}

// commands answers like the commands of esos that need an appliance's medium,
// and notes what was asked.
type commands struct {
	mu      sync.Mutex
	calls   []string
	answers map[string]func(in io.Reader, out io.Writer) int
	real    string // the socket for commands that are carried out
}

// says makes commands that begin so print a text.
func (m *commands) says(command, text string) {
	m.does(command, func(_ io.Reader, out io.Writer) int {
		_, _ = io.WriteString(out, text)
		return 0
	})
}

func (m *commands) does(command string, do func(in io.Reader, out io.Writer) int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[command] = do
}

// shows makes a command print a value as the real one does with -o json.
func (m *commands) shows(t *testing.T, command string, v any) {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	m.says(command+" -o json", b.String())
}

func (m *commands) run(ctx context.Context, args []string, in io.Reader, out io.Writer) int {
	line := strings.Join(args, " ")
	m.mu.Lock()
	m.calls = append(m.calls, line)
	var do func(io.Reader, io.Writer) int
	longest := -1
	for prefix, f := range m.answers {
		if strings.HasPrefix(line+" ", prefix+" ") && len(prefix) > longest {
			longest, do = len(prefix), f
		}
	}
	real := m.real
	m.mu.Unlock()
	if do != nil {
		return do(in, out)
	}
	return cli.Main(ctx, append(args, "--socket", real), in, out, out)
}

// ran says whether a command was run.
func (m *commands) ran(line string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.calls, line)
}

// begun lists the commands that change something.
func (m *commands) begun() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s []string
	for _, c := range m.calls {
		if !strings.HasSuffix(c, "-o json") {
			s = append(s, c)
		}
	}
	return s
}

func play(t *testing.T, o apitest.Options) *stage {
	t.Helper()
	t.Parallel()
	if o.Document == "" {
		o.Document = document
	}
	a := apitest.New(t, o)
	s := &stage{a: a, m: &commands{answers: map[string]func(io.Reader, io.Writer) int{}, real: a.Socket}}
	s.Console = tuitest.New(t, tuitest.Options{Client: a.Client, Command: s.m.run})
	return s
}

// open opens an entry from the menu, by keys.
func (s *stage) open(t *testing.T, title string) {
	t.Helper()
	actions := upkeep.Actions()
	i := slices.IndexFunc(actions, func(a frame.Action) bool { return a.Title == title })
	if i < 0 {
		t.Fatalf("there is no entry %s", title)
	}
	s.In(func(d *frame.Desk) { d.Menu(frame.Menu{Title: "System", Actions: actions}) })
	s.Shows("System")
	for range i {
		s.Press(tcell.KeyDown)
	}
	s.Enter()
	s.Shows(title)
}

// Shows is Wait: what is shown may be a moment older than what was done.
func (s *stage) Shows(text string) { s.Wait(text) }

// Golden is a golden screen in any time zone.
func (s *stage) Golden(name string, replace ...string) {
	for _, t := range []time.Time{moment(), moment().Add(-24 * time.Hour)} {
		replace = append(replace, local(t), t.Format("2006-01-02 15:04:05"))
	}
	s.Console.Golden(name, replace...)
}

// yes gives the answer that does something to a question.
func (s *stage) yes(t *testing.T, question string) {
	t.Helper()
	s.Wait(question)
	s.Press(tcell.KeyLeft, tcell.KeyEnter)
}

func (s *stage) did(t *testing.T, line string) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for !s.m.ran(line) {
		if time.Now().After(end) {
			t.Fatalf("%q was not run, but %q:\n%s", line, s.m.begun(), s.Text())
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.Wait("Done. Esc goes back.")
}

// nothing fails if something was done that changes anything.
func (s *stage) nothing(t *testing.T) {
	t.Helper()
	if b := s.m.begun(); len(b) > 0 {
		t.Fatalf("%q was run without a confirmation", b)
	}
}

const day = "2026-11-28 09:30:00"

func moment() time.Time { return time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC) }

// local is how a time is shown here, to be replaced in golden screens.
func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// revised are the times of all revisions, to be replaced.
func (s *stage) revised(t *testing.T) []string {
	t.Helper()
	all, err := s.a.Client.Revisions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, r := range all {
		pairs = append(pairs, local(r.When), day)
	}
	return pairs
}

func TestMenu(t *testing.T) {
	s := play(t, apitest.Options{})
	s.In(func(d *frame.Desk) { d.Menu(frame.Menu{Title: "System", Actions: upkeep.Actions()}) })
	s.Golden("menu")
	for _, a := range upkeep.Actions() {
		if a.Does == "" || a.Command == "" || a.Do == nil {
			t.Errorf("%s has no words, no command, or does nothing", a.Title)
		}
	}
}

// TestNoAppliance: what needs a medium says so on a machine that has none, and
// asks for nothing that could not be done.
func TestNoAppliance(t *testing.T) {
	s := play(t, apitest.Options{})
	for _, x := range []struct{ entry, says string }{
		{"Saved Settings", "this machine is no ESOS appliance"},
		{"Upgrade", "this machine is no ESOS appliance"},
		{"Slots", "this machine is no ESOS appliance"},
		{"Logs", "this system was not started from a medium of ESOS"},
		{"Crash Dumps", "this system was not started from a medium of ESOS"},
		{"Boot Medium", "The medium cannot be looked at"},
	} {
		s.open2(t, x.entry)
		s.Wait(x.says)
		s.Escape()
	}
}

// open2 opens an entry that may only show a dialog.
func (s *stage) open2(t *testing.T, title string) {
	t.Helper()
	for _, a := range upkeep.Actions() {
		if a.Title == title {
			s.In(a.Do)
			return
		}
	}
	t.Fatalf("there is no entry %s", title)
}

// hurry sends a key while a command runs: it is not waited for.
func (s *stage) hurry(k any) {
	ev := tcell.NewEventKey(tcell.KeyRune, 0, tcell.ModNone)
	switch k := k.(type) {
	case tcell.Key:
		ev = tcell.NewEventKey(k, 0, tcell.ModNone)
	case rune:
		ev = tcell.NewEventKey(tcell.KeyRune, k, tcell.ModNone)
	}
	_ = s.Screen.PostEvent(ev)
}
