package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// attach takes up a process that serves already, and learns from it what it
// serves. The link has no client if there is none.
func (s *supervisor) attach(ctx context.Context) (link, error) {
	c, err := control.Dial(ctx, s.socket, s.engine.heard)
	if ctx.Err() != nil {
		return link{}, err
	}
	if err != nil {
		// Nobody listens. A process that lives all the same lost its socket;
		// it would hold on to files and ports.
		return link{}, s.endStray()
	}
	asking, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	hello, err := c.Hello(asking)
	if err != nil {
		c.Close()
		if ctx.Err() != nil { // nobody waits for it any more: that is not its fault
			return link{}, fmt.Errorf("ask esos-target who it is: %w", err)
		}
		s.log.Warn("esos-target does not answer and is replaced", "err", err)
		return link{}, s.endStray()
	}
	if hello.Protocol != control.Version {
		c.Close()
		s.log.Warn("esos-target is of another version and is replaced; initiators will log in again",
			"its", hello.Build, "its_protocol", hello.Protocol, "protocol", control.Version)
		return link{}, host.Terminate(hello.PID, stopWait)
	}
	state, err := c.Observe(asking)
	if err != nil {
		c.Close()
		return link{}, fmt.Errorf("ask esos-target what it serves: %w", err)
	}
	s.engine.wanted.set(state)
	s.log.Info("took up the esos-target that serves already", "pid", hello.PID, "since", hello.Started, "build", hello.Build)
	return link{client: c, hello: hello, born: time.Now()}, nil
}

// spawn starts a process and connects to it.
func (s *supervisor) spawn(ctx context.Context) (l link, err error) {
	if err := os.Chmod(s.opt.StateDir, 0o700); err != nil {
		return link{}, fmt.Errorf("start esos-target: %w", err)
	}
	listener, err := host.ListenUnix(s.socket)
	if err != nil {
		return link{}, fmt.Errorf("start esos-target: %w", err)
	}
	defer listener.Close()
	trace, err := os.OpenFile(s.tracePath(), os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return link{}, fmt.Errorf("start esos-target: %w", err)
	}
	defer trace.Close()
	child, err := host.Start(host.Command{
		Path:   s.opt.TargetBinary,
		Args:   []string{"-state", s.opt.StateDir},
		Stderr: trace,
		Files:  []*os.File{listener},
	})
	if err != nil {
		return link{}, err
	}
	listener.Close() // so that a process that dies at once is noticed by Dial
	defer func() {
		if err != nil {
			if errors.Is(err, control.ErrClosed) { // it ends, and says why
				select {
				case <-child.Done():
				case <-time.After(stopWait):
				}
			}
			_ = host.Terminate(child.PID, 0)
			<-child.Done()
			if said := s.trace(); said != "" {
				err = fmt.Errorf("%w: it said: %s", err, said)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	c, err := control.Dial(ctx, s.socket, s.engine.heard)
	if err != nil {
		return link{}, fmt.Errorf("start esos-target: %w", err)
	}
	hello, err := c.Hello(ctx)
	if err == nil && hello.Protocol != control.Version {
		err = fmt.Errorf("%s is of another version (protocol %d, this daemon's is %d)", s.opt.TargetBinary, hello.Protocol, control.Version)
	}
	if err == nil {
		err = os.WriteFile(s.pidPath(), []byte(itoa(child.PID)+"\n"), 0o600)
	}
	if err != nil {
		c.Close()
		return link{}, fmt.Errorf("start esos-target: %w", err)
	}
	s.log.Info("started esos-target", "pid", child.PID, "build", hello.Build, "confined", strings.Join(hello.Confinement, ", "))
	return link{client: c, hello: hello, born: time.Now(), child: child}, nil
}

func (s *supervisor) pidPath() string   { return filepath.Join(s.opt.RunDir, "esos-target.pid") }
func (s *supervisor) tracePath() string { return filepath.Join(s.opt.RunDir, "esos-target.stderr") }

// endStray ends a process that an earlier daemon started and that does not
// answer any more.
func (s *supervisor) endStray() error {
	text, err := os.ReadFile(s.pidPath())
	if err != nil {
		return nil // there never was one
	}
	pid := atoi(strings.TrimSpace(string(text)))
	if pid <= 1 || !host.Runs(pid, s.opt.TargetBinary) {
		return nil
	}
	s.log.Warn("ending an esos-target that does not answer", "pid", pid)
	return host.Terminate(pid, stopWait)
}

// postMortem says why the process of l ended, as far as is known.
func (s *supervisor) postMortem(l link) string {
	why := "its connection ended"
	if s.activated() {
		return why + "; journalctl -u esos-target says more"
	}
	if l.child != nil {
		select {
		case <-l.child.Done():
			why = "it ended"
			if err := l.child.Err(); err != nil {
				why = err.Error()
			}
		case <-time.After(time.Second):
		}
	}
	if said := s.trace(); said != "" {
		why += ": " + said
	}
	return why
}

// trace is the beginning of what the process wrote as it died, on one line.
func (s *supervisor) trace() string {
	f, err := os.Open(s.tracePath())
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 2000))
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}
