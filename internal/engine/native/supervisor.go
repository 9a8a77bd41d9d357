package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// supervisor keeps one esos-target running: it takes up one that runs already,
// starts one when there is none, and another when it dies.
type supervisor struct {
	opt    Options
	log    *slog.Logger
	engine *Engine
	socket string

	cancel context.CancelFunc // ends watch
	done   chan struct{}      // watch has ended
	lock   *os.File

	mu    sync.Mutex
	state link
	ready chan struct{} // closed while state is of use, or the supervisor has ended
	ended bool
}

// link is the connection to a process.
type link struct {
	client *control.Client
	hello  control.Hello
	born   time.Time     // when this supervisor started or found it
	child  *host.Process // nil if another daemon started it
}

const (
	// helloWait is how long a process may take to answer its first request.
	helloWait = 10 * time.Second
	// stopWait is how long an orderly end may take before it is forced.
	stopWait = 1200 * time.Millisecond
	// replayWait bounds how long a new process may take to be given everything.
	replayWait = 2 * time.Minute
	// A process that dies young is started again after a pause that doubles
	// from firstPause to lastPause. The last is short: initiators wait.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
	young      = 5 * time.Second
)

// errEnded says that the engine was stopped or closed.
var errEnded = errors.New("the native engine has been stopped")

func newSupervisor(opt Options, log *slog.Logger, e *Engine) *supervisor {
	return &supervisor{
		opt: opt, log: log, engine: e,
		socket: filepath.Join(opt.RunDir, "esos-target.sock"),
		ready:  make(chan struct{}), done: make(chan struct{}),
	}
}

// start brings the first link up and begins to watch it.
func (s *supervisor) start(ctx context.Context) error {
	lock, err := host.LockFile(filepath.Join(s.opt.RunDir, "native.lock"))
	if err != nil {
		if errors.Is(err, host.ErrLocked) {
			return fmt.Errorf("another daemon uses the run directory %s; stop it, or choose another --run-dir", s.opt.RunDir)
		}
		return err
	}
	s.lock = lock
	l, err := s.attach(ctx)
	if err != nil {
		lock.Close()
		return err
	}
	if l.client == nil {
		if l, err = s.spawn(ctx); err != nil {
			lock.Close()
			return err
		}
	}
	s.up(l)
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	go s.watch(watchCtx)
	return nil
}

// attach takes up a process that serves already, and learns from it what it
// serves. The link has no client if there is none.
func (s *supervisor) attach(ctx context.Context) (link, error) {
	c, err := control.Dial(ctx, s.socket, s.engine.heard)
	if err != nil {
		// Nobody listens. A process that lives all the same lost its socket;
		// it would hold on to files and ports.
		return link{}, s.endStray()
	}
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	hello, err := c.Hello(ctx)
	if err != nil {
		c.Close()
		s.log.Warn("esos-target does not answer and is replaced", "err", err)
		return link{}, s.endStray()
	}
	if hello.Protocol != control.Version {
		c.Close()
		s.log.Warn("esos-target is of another version and is replaced; initiators will log in again",
			"its", hello.Build, "its_protocol", hello.Protocol, "protocol", control.Version)
		return link{}, host.Terminate(hello.PID, stopWait)
	}
	state, err := c.Observe(ctx)
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

// watch replaces the process each time it is lost, until ctx ends.
func (s *supervisor) watch(ctx context.Context) {
	defer close(s.done)
	pause := firstPause
	for {
		l := s.current()
		select {
		case <-ctx.Done():
			return
		case <-l.client.Done():
		}
		s.down()
		why := s.postMortem(l)
		s.log.Error("lost esos-target; starting another", "pid", l.hello.PID, "lived", time.Since(l.born).Round(time.Millisecond), "why", why)
		if time.Since(l.born) > young {
			pause = firstPause
		}
		next, ok := s.revive(ctx, &pause)
		if !ok {
			return
		}
		s.up(next)
		if next.hello.PID == l.hello.PID {
			continue // it lives: only the connection was lost
		}
		s.engine.hub.publish(engine.Event{
			Time: time.Now(), Kind: "target.restarted", Object: "esos-target",
			Message: "the target process ended and was started again with all that it served; initiators log in again by themselves",
			Detail:  map[string]string{"why": why, "pid": itoa(next.hello.PID), "old_pid": itoa(l.hello.PID)},
		})
	}
}

// revive tries until there is a process that has been given everything. It
// returns false when ctx ended.
func (s *supervisor) revive(ctx context.Context, pause *time.Duration) (link, bool) {
	for {
		select {
		case <-ctx.Done():
			return link{}, false
		case <-time.After(*pause):
		}
		*pause = min(2**pause, lastPause)
		l, err := s.reconnect(ctx)
		if err == nil {
			return l, true
		}
		if ctx.Err() == nil {
			s.log.Error("could not bring esos-target back; trying again", "err", err)
		}
	}
}

// reconnect finds the process again if it lives, else starts another and
// gives it what the last one served.
func (s *supervisor) reconnect(ctx context.Context) (link, error) {
	if l := s.current(); l.child == nil || !l.child.Ended() {
		if c, err := control.Dial(ctx, s.socket, s.engine.heard); err == nil {
			hctx, cancel := context.WithTimeout(ctx, helloWait)
			defer cancel()
			if hello, err := c.Hello(hctx); err == nil && hello.PID == l.hello.PID {
				l.client = c
				return l, nil
			}
			c.Close()
		}
	}
	if err := s.endStray(); err != nil {
		return link{}, err
	}
	l, err := s.spawn(ctx)
	if err != nil {
		return link{}, err
	}
	rctx, cancel := context.WithTimeout(ctx, replayWait)
	defer cancel()
	if err := s.engine.replay(rctx, l.client); err != nil {
		l.client.Close()
		return link{}, fmt.Errorf("give the new esos-target what the last one served: %w", err)
	}
	return l, nil
}

// client waits until the process can be asked.
func (s *supervisor) client(ctx context.Context) (*control.Client, error) {
	for {
		s.mu.Lock()
		c, ready, ended := s.state.client, s.ready, s.ended
		s.mu.Unlock()
		if ended {
			return nil, errEnded
		}
		select {
		case <-ready:
			if c == nil {
				continue
			}
			select {
			case <-c.Done(): // lost, but watch has not noticed yet
				select {
				case <-ctx.Done():
					return nil, fmt.Errorf("esos-target is down: %w", ctx.Err())
				case <-time.After(time.Millisecond):
				}
			default:
				return c, nil
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("esos-target is down: %w", ctx.Err())
		}
	}
}

func (s *supervisor) current() link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *supervisor) up(l link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = l
	close(s.ready)
}

func (s *supervisor) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.client.Close()
	s.ready = make(chan struct{})
}

func (s *supervisor) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.ready:
		return s.state.hello.PID
	default:
		return 0
	}
}

// end stops watching and frees everyone who waits.
func (s *supervisor) end() link {
	s.cancel()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.state
	if !s.ended {
		s.ended = true
		select {
		case <-s.ready:
		default:
			close(s.ready)
		}
		s.lock.Close()
	}
	return l
}

// detach lets the process serve on without us.
func (s *supervisor) detach() {
	l := s.end()
	l.client.Close()
}

// stop ends the process in an orderly way, by force if it takes too long.
func (s *supervisor) stop(ctx context.Context) error {
	l := s.end()
	defer l.client.Close()
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	if err := l.client.Stop(ctx); err != nil && !errors.Is(err, control.ErrClosed) {
		s.log.Warn("esos-target did not stop by itself and is ended", "err", err)
	}
	// Numbers of ended processes are given to others: only ours is ended.
	if host.Runs(l.hello.PID, s.opt.TargetBinary) {
		if err := host.Terminate(l.hello.PID, 200*time.Millisecond); err != nil {
			return err
		}
	}
	if l.child != nil {
		<-l.child.Done()
	}
	for _, path := range []string{s.socket, s.pidPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
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
