package native

import (
	"context"
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// Where systemd has a socket unit for esos-target, connecting is all it takes
// to start one: the connection waits until the process is there to accept it.
// The process then has a control group, a watchdog and a sandbox of its own,
// and its socket is never lost, so there are no strays to look for.

// activateWait is how long a process that a connection may have started may
// take to answer: a machine that is booting is slow.
const activateWait = time.Minute

func (s *supervisor) activated() bool { return s.opt.Socket != "" }

// takeUp connects to the process, and learns from it what it serves.
func (s *supervisor) takeUp(ctx context.Context) (link, error) {
	l, err := s.connect(ctx)
	if err != nil {
		return link{}, err
	}
	asking, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	state, err := l.client.Observe(asking)
	if err != nil {
		l.client.Close()
		return link{}, fmt.Errorf("ask esos-target what it serves: %w", err)
	}
	s.tookUp = len(state.Devices)+len(state.Targets)+len(state.Portals) > 0
	s.engine.wanted.set(state)
	s.log.Info("esos-target serves", "pid", l.hello.PID, "since", l.hello.Started, "build", l.hello.Build,
		"served_already", s.tookUp)
	return l, nil
}

// reactivate connects again. Another process than the last is given what that
// one served.
func (s *supervisor) reactivate(ctx context.Context) (link, error) {
	last := s.current()
	l, err := s.connect(ctx)
	if err != nil {
		return link{}, err
	}
	if l.hello.PID == last.hello.PID && l.hello.Started.Equal(last.hello.Started) {
		l.born = last.born
		return l, nil
	}
	return l, s.replay(ctx, l)
}

// connect has a process of this version answer. One of another version is
// ended: the next connection starts one of this.
func (s *supervisor) connect(ctx context.Context) (link, error) {
	ctx, cancel := context.WithTimeout(ctx, activateWait)
	defer cancel()
	for {
		c, err := control.Dial(ctx, s.socket, s.engine.heard)
		if err != nil {
			return link{}, fmt.Errorf("%w (is esos-target.socket active?)", err)
		}
		hello, err := c.Hello(ctx)
		if err != nil {
			c.Close()
			return link{}, fmt.Errorf("ask esos-target who it is (journalctl -u esos-target may say more): %w", err)
		}
		if hello.Protocol == control.Version {
			return link{client: c, hello: hello, born: time.Now()}, nil
		}
		c.Close()
		s.log.Warn("esos-target is of another version and is replaced; initiators will log in again",
			"its", hello.Build, "its_protocol", hello.Protocol, "protocol", control.Version)
		if err := host.Terminate(hello.PID, stopWait); err != nil {
			return link{}, err
		}
		if err := pauseFor(ctx, firstPause); err != nil {
			return link{}, fmt.Errorf("replace esos-target of another version (protocol %d, this daemon's is %d): %w",
				hello.Protocol, control.Version, err)
		}
	}
}

// pauseFor waits, or returns why ctx ended.
func pauseFor(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
