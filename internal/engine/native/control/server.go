package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// Handler answers requests in the target process. They come at once: one that
// waits for a dead disk must not keep others from being asked. It closes the
// files that it does not keep.
type Handler interface {
	Handle(ctx context.Context, op string, body []byte, files []*os.File) (any, error)
}

// Server is the target process's end of the socket.
type Server struct {
	owner int // user that may connect, besides root

	mu      sync.Mutex
	conns   map[*serverConn]struct{}
	closed  bool
	pending []Event // of the time when nobody was connected
	lost    int     // events that pending had no room for
	wg      sync.WaitGroup
}

// maxPending bounds the events that are kept for the next daemon.
const maxPending = 1024

// maxQueued bounds the events that wait for a daemon that does not read.
const maxQueued = 4096

// closeWait bounds how long Close waits for a daemon that does not read.
const closeWait = 500 * time.Millisecond

// NewServer makes a server. Processes of user owner and root may connect.
func NewServer(owner int) *Server {
	return &Server{owner: owner, conns: map[*serverConn]struct{}{}}
}

// serverConn is one connected daemon.
type serverConn struct {
	conn
	events chan Event
	lost   int // events dropped because the daemon does not read; under Server.mu
}

// Serve accepts daemons at l and has h answer them, until ctx ends or Close is
// called; it then returns nil.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener, h Handler, log *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		uc, err := l.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept on control socket: %w", err)
		}
		if cred, err := peer(uc); err != nil || cred.Uid != 0 && int(cred.Uid) != s.owner {
			log.Warn("control connection of another user refused", "err", err)
			uc.Close()
			continue
		}
		sc := &serverConn{conn: newConn(uc), events: make(chan Event, maxQueued)}
		if !s.add(sc) {
			uc.Close()
			return nil
		}
		s.wg.Go(func() { s.serve(ctx, sc, h, log) })
	}
}

// add takes a daemon in and gives it what happened while there was none.
func (s *Server) add(sc *serverConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[sc] = struct{}{}
	for i, e := range s.pending {
		if i == 0 {
			e.Lost = s.lost
		}
		sc.events <- e // there is room: maxPending < maxQueued
	}
	s.pending, s.lost = nil, 0
	return true
}

// maxAtOnce bounds the requests of a daemon that are being answered.
const maxAtOnce = 64

// serve answers one daemon's requests until it is gone.
func (s *Server) serve(ctx context.Context, sc *serverConn, h Handler, log *slog.Logger) {
	var busy sync.WaitGroup
	busy.Go(func() { s.pump(sc) })
	defer func() {
		s.leave(sc)
		busy.Wait() // for the last answers and events
		sc.c.Close()
	}()
	slots := make(chan struct{}, maxAtOnce)
	for {
		f, err := sc.read()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				log.Warn("control connection ended", "err", err)
			}
			return
		}
		slots <- struct{}{}
		busy.Go(func() {
			defer func() { <-slots }()
			if sc.write(context.WithoutCancel(ctx), answer(ctx, h, f)) != nil {
				sc.c.Close() // ends the read above
			}
		})
	}
}

// answer has the handler answer a request.
func answer(ctx context.Context, h Handler, f *frame) *frame {
	a := &frame{ID: f.ID}
	got, err := h.Handle(ctx, f.Op, f.Body, f.files)
	if err != nil {
		a.Error = &Error{Code: Failed, Text: err.Error()}
		var e *Error
		if errors.As(err, &e) {
			a.Error.Code = e.Code
		}
		return a
	}
	if got != nil {
		if a.Body, err = json.Marshal(got); err != nil {
			a.Error = Errorf(Failed, "encode answer: %v", err)
		}
	}
	return a
}

// pump sends one daemon its events until there are no more.
func (s *Server) pump(sc *serverConn) {
	for e := range sc.events {
		body, err := json.Marshal(e)
		if err != nil {
			continue
		}
		if sc.write(context.Background(), &frame{Op: opEvent, Body: body}) != nil {
			sc.c.Close() // serve then notices; what is left is dropped
		}
	}
}

// leave takes a daemon out of the list: events are for others from now on.
func (s *Server) leave(sc *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, sc)
	close(sc.events)
}

// Publish sends e to every daemon that is connected, or keeps it for the next
// one. It never waits.
func (s *Server) Publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if len(s.conns) == 0 {
		if len(s.pending) == maxPending {
			s.pending = append(s.pending[:0], s.pending[1:]...)
			s.lost++
		}
		s.pending = append(s.pending, e)
		return
	}
	for sc := range s.conns {
		e.Lost = sc.lost
		select {
		case sc.events <- e:
			sc.lost = 0
		default:
			sc.lost++
		}
	}
}

// Close lets every connection have the answer that it waits for, ends it, and
// returns when none is served any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for sc := range s.conns {
		// Errors mean that the connection is gone, which is what is wanted.
		_ = sc.c.SetWriteDeadline(time.Now().Add(closeWait))
		_ = sc.c.CloseRead() // the next read is EOF
	}
	s.mu.Unlock()
	s.wg.Wait()
}
