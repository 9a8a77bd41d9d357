package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Client is the daemon's end of the socket.
type Client struct {
	conn    conn
	pid     int
	onEvent func(Event)

	mu      sync.Mutex
	waiting map[uint64]chan *frame
	next    uint64
	err     error
	done    chan struct{}
}

// ErrClosed is wrapped by calls that found the connection gone, or lost it
// before the answer came: what was asked may have been done or not.
var ErrClosed = errors.New("the connection to esos-target is gone")

// Dial connects to the process that listens at path. onEvent is called for
// each event, one at a time; it must not call the Client.
func Dial(ctx context.Context, path string, onEvent func(Event)) (*Client, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("connect to esos-target: %w", err)
	}
	uc := nc.(*net.UnixConn)
	pid, err := peerPID(uc)
	if err != nil {
		uc.Close()
		return nil, fmt.Errorf("connect to esos-target: %w", err)
	}
	c := &Client{
		conn: newConn(uc), pid: pid, onEvent: onEvent,
		waiting: map[uint64]chan *frame{}, done: make(chan struct{}),
	}
	go c.receive()
	return c, nil
}

// PID is the process at the other end. For a process that was started with
// its listening socket the kernel names who made the socket; the process's own
// answer to Hello is the one to trust then.
func (c *Client) PID() int { return c.pid }

// Done is closed when the connection is gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection and returns when the last event was handed over.
func (c *Client) Close() error {
	err := c.conn.c.Close()
	<-c.done
	return err
}

// receive hands answers to who waits for them until the connection ends.
func (c *Client) receive() {
	var err error
	for {
		var f *frame
		if f, err = c.conn.read(); err != nil {
			break
		}
		_ = closeAll(f.files, nil) // the process has nothing to hand us
		if f.ID == 0 {
			var e Event
			if f.Op == opEvent && json.Unmarshal(f.Body, &e) == nil && c.onEvent != nil {
				c.onEvent(e)
			}
			continue
		}
		c.mu.Lock()
		ch := c.waiting[f.ID]
		delete(c.waiting, f.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- f
		}
	}
	c.conn.c.Close()
	c.mu.Lock()
	c.err = err
	for id, ch := range c.waiting {
		delete(c.waiting, id)
		close(ch)
	}
	c.mu.Unlock()
	close(c.done)
}

// call asks op of the process and decodes its answer into out, if that is not
// nil. The files go along; they stay the caller's.
func (c *Client) call(ctx context.Context, op string, in, out any, files ...*os.File) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ask esos-target: %w", err)
	}
	f := &frame{Op: op, files: files}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode %s: %w", op, err)
		}
		f.Body = body
	}
	answer := make(chan *frame, 1)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return ErrClosed
	}
	c.next++
	f.ID = c.next
	c.waiting[f.ID] = answer
	c.mu.Unlock()

	if err := c.conn.write(ctx, f); err != nil {
		c.forget(f.ID)
		return fmt.Errorf("ask esos-target: %w", err)
	}
	select {
	case got, ok := <-answer:
		switch {
		case !ok:
			return ErrClosed
		case got.Error != nil:
			return got.Error
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(got.Body, out); err != nil {
			return fmt.Errorf("decode answer to %s: %w", op, err)
		}
		return nil
	case <-ctx.Done():
		c.forget(f.ID)
		return fmt.Errorf("wait for esos-target: %w", ctx.Err())
	}
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
}

// peerPID asks the kernel who is at the other end.
func peerPID(uc *net.UnixConn) (int, error) {
	cred, err := peer(uc)
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// peer is SO_PEERCRED (unix(7)).
func peer(uc *net.UnixConn) (*unix.Ucred, error) {
	rc, err := uc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := rc.Control(func(fd uintptr) {
		cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if cerr != nil {
		return nil, fmt.Errorf("ask who is at the other end: %w", cerr)
	}
	return cred, nil
}
