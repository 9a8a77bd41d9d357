package guest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// Server is the guest while it runs: a customer's Linux server. It is gone
// with the test that started it.
type Server struct{ shell *vm.Shell }

// scriptTimeout is that of one script.
const scriptTimeout = 4 * time.Minute

// Start boots the guest, with a card at an end of each cable beside the one to
// this host, and waits until it is up. Its root can be written to, and is the
// same again at the next start.
func Start(t *testing.T, cards ...vm.Card) *Server {
	t.Helper()
	ctx := t.Context()
	image, err := Build(ctx, level.Cache(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Start(context.WithoutCancel(ctx), vm.Config{
		Name: "server", Dir: level.ShortDir(t), Memory: 768, CPUs: 2, Network: true, Cards: cards,
		Kernel: image.Kernel, Initrd: image.Initrd, Append: Append,
		Drives: []vm.Drive{{File: image.Disk, Snapshot: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's console, the end:\n%s", m.Console().Tail(40))
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	s := Up(t, m)
	s.Run(t, "mount -o remount,rw /")
	return s
}

// Up waits until a machine that was started with the guest's disk is up.
func Up(t *testing.T, m *vm.Machine) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := m.WaitFor(ctx, Marker); err != nil {
		t.Fatal(err)
	}
	shell, err := m.Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shell.Close() })
	return &Server{shell: shell}
}

// Run runs a script that must succeed, and returns its output.
func (s *Server) Run(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptTimeout)
	defer cancel()
	out, err := s.shell.Run(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Status runs a script and returns its output and exit status.
func (s *Server) Status(t *testing.T, script string) (string, int) {
	t.Helper()
	out := s.Run(t, "(\n"+script+"\n)\necho \"status=$?\"")
	i := strings.LastIndex(out, "status=")
	if i < 0 {
		t.Fatalf("no status in %q", out)
	}
	var code int
	if _, err := fmt.Sscanf(out[i:], "status=%d", &code); err != nil {
		t.Fatal(err)
	}
	return out[:i], code
}

// Eventually runs a script until it succeeds. What else helps to see why it
// does not is what the script explain prints.
func (s *Server) Eventually(t *testing.T, what string, timeout time.Duration, script, explain string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		out, code := s.Status(t, script)
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s:\n%s\n%s", what, timeout, out, s.Run(t, explain+"\ndmesg | tail -n 20"))
		}
		time.Sleep(500 * time.Millisecond)
	}
}
