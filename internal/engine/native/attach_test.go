package native

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// oldProcess answers as a process of another version would.
type oldProcess struct{ pid int }

func (p oldProcess) Handle(context.Context, string, []byte, []*os.File) (any, error) {
	return control.Hello{Protocol: control.Version + 1, Build: "another", PID: p.pid}, nil
}

// TestAnotherVersionIsReplaced: a process that cannot be talked to is ended,
// and one of this version takes its place.
func TestAnotherVersionIsReplaced(t *testing.T) {
	opt := options(t)
	ok(t, os.MkdirAll(opt.RunDir, 0o700))
	old := exec.Command("sleep", "600")
	ok(t, old.Start())
	ended := make(chan error, 1)
	go func() { ended <- old.Wait() }()

	f, err := host.ListenUnix(filepath.Join(opt.RunDir, "esos-target.sock"))
	ok(t, err)
	l, err := net.FileListener(f)
	ok(t, err)
	ok(t, f.Close())
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	s := control.NewServer(os.Getuid())
	served := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { served <- s.Serve(ctx, ul, oldProcess{old.Process.Pid}, slog.New(slog.DiscardHandler)) }()

	e := begin(t, opt)
	if err := <-ended; err == nil {
		t.Error("the old process ended by itself")
	}
	if e.PID() == old.Process.Pid {
		t.Error("the old process serves")
	}
	cancel()
	s.Close()
	ok(t, <-served)
	serve(t, e, opt)
}

// TestStrayIsEnded: a process whose socket is lost holds files and ports that
// the next one needs.
func TestStrayIsEnded(t *testing.T) {
	opt := options(t)
	first, err := Start(t.Context(), opt)
	ok(t, err)
	serve(t, first, opt)
	pid := first.PID()
	ok(t, first.Close())
	ok(t, os.Remove(first.Socket()))

	second := begin(t, opt)
	if second.PID() == pid {
		t.Error("a process without a socket was taken up")
	}
	if host.Runs(pid, targetBinary) {
		t.Error("the stray process lives")
	}
	st, err := second.Observe(t.Context())
	ok(t, err)
	if len(st.Devices) != 0 {
		t.Errorf("devices: %v", st.Devices)
	}
	serve(t, second, opt)
	login(t, address(t, second, "p"))
}
