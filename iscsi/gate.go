package iscsi

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// gate stands between a socket and the runtime's poller: an epoll descriptor
// with the socket in it, which the poller watches in the socket's place.
//
// The poller hears of all that comes, and a thread wakes up for it, though the
// goroutine that the news is for is awake and has seen it already. With a
// processor at rest that costs more than a small I/O does. So a gate is shut
// while somebody looks after the socket.
type gate struct {
	file   *os.File // what the poller watches
	raw    syscall.RawConn
	fd     int
	socket int
	events uint32 // what it opens at
	isShut bool
}

// newGate makes an open gate of a socket.
func newGate(socket int, events uint32) (*gate, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	g := &gate{fd: fd, socket: socket, events: events}
	err = g.control(unix.EPOLL_CTL_ADD, events)
	if err == nil {
		// NewFile has the poller watch what does not wait.
		err = os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	g.file = os.NewFile(uintptr(fd), "gate of a socket")
	if g.raw, err = g.file.SyscallConn(); err != nil {
		_ = g.file.Close()
		return nil, err
	}
	return g, nil
}

// shut keeps what comes from the poller, but for the end of the socket
// (epoll_ctl(2): EPOLLHUP and EPOLLERR are always told).
func (g *gate) shut() {
	if !g.isShut {
		// A gate that stays open costs time, no more.
		g.isShut = g.control(unix.EPOLL_CTL_MOD, 0) == nil
	}
}

// open has the poller hear again of what comes from now on. Of what came while
// the gate was shut it may not: look for that after open.
func (g *gate) open() error {
	if !g.isShut {
		return nil
	}
	g.isShut = false
	return g.control(unix.EPOLL_CTL_MOD, g.events)
}

// close gives the gate up: who waits at it wakes up.
func (g *gate) close() { _ = g.file.Close() }

func (g *gate) control(op int, events uint32) error {
	e := unix.EpollEvent{Events: events}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(g.fd, op, g.socket, &e))
}
