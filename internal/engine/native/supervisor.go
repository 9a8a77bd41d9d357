package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
	pulse  time.Duration

	cancel context.CancelFunc // ends watch
	done   chan struct{}      // watch has ended
	lock   *os.File
	tookUp bool // start found a process that served

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
	// pulse is how often the process is asked whether it is well, and how long
	// it may take to say so.
	pulse = 10 * time.Second
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
		opt: opt, log: log, engine: e, pulse: cmp.Or(opt.pulse, pulse),
		socket: cmp.Or(opt.Socket, filepath.Join(opt.RunDir, "esos-target.sock")),
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
	l, err := s.first(ctx)
	if err != nil {
		lock.Close()
		return err
	}
	s.up(l)
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	go s.watch(watchCtx)
	return nil
}

// first takes up the process that serves, or has one started.
func (s *supervisor) first(ctx context.Context) (link, error) {
	if s.activated() {
		return s.takeUp(ctx)
	}
	l, err := s.attach(ctx)
	if err != nil {
		return link{}, err
	}
	if s.tookUp = l.client != nil; s.tookUp {
		return l, nil
	}
	return s.spawn(ctx)
}

// watch replaces the process each time it is lost, until ctx ends.
func (s *supervisor) watch(ctx context.Context) {
	defer close(s.done)
	pause := firstPause
	for {
		l := s.current()
		if !s.tend(ctx, l) {
			return
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

// tend watches over a process until its connection is lost; false means that
// ctx ended. A process that does not answer is told of, not killed: it may
// still be serving, and killing it costs every session.
func (s *supervisor) tend(ctx context.Context, l link) bool {
	tick := time.NewTicker(s.pulse)
	defer tick.Stop()
	silent := false
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.client.Done():
			return true
		case <-tick.C:
		}
		pctx, cancel := context.WithTimeout(ctx, s.pulse)
		_, err := l.client.Hello(pctx)
		cancel()
		if ctx.Err() != nil || errors.Is(err, control.ErrClosed) {
			continue
		}
		if now := err != nil; now != silent {
			silent = now
			e := engine.Event{Time: time.Now(), Object: "esos-target", Kind: "target.unresponsive",
				Message: "the target process does not answer its control socket; it may still serve initiators"}
			if !silent {
				e.Kind, e.Message = "target.responsive", "the target process answers again"
			}
			s.log.Warn(e.Message, "pid", l.hello.PID)
			s.engine.hub.publish(e)
		}
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
	if s.activated() {
		return s.reactivate(ctx)
	}
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
	return l, s.replay(ctx, l)
}

// replay gives a new process what the last one served.
func (s *supervisor) replay(ctx context.Context, l link) error {
	ctx, cancel := context.WithTimeout(ctx, replayWait)
	defer cancel()
	if err := s.engine.replay(ctx, l.client); err != nil {
		l.client.Close()
		return fmt.Errorf("give the new esos-target what the last one served: %w", err)
	}
	return nil
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
	if s.activated() {
		return nil // the socket is its unit's
	}
	for _, path := range []string{s.socket, s.pidPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
