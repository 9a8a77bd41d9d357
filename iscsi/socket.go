package iscsi

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket moves bytes with raw system calls that never wait: a plain call into
// the kernel costs a fraction of what net.Conn does around it. To wait, it
// has the runtime's poller watch its gates.
type socket struct {
	conn net.Conn // it came from; closed once the socket is in use
	fd   uintptr  // the same socket, valid until close
	in   *gate    // opens when there is something to receive
	out  *gate    // opens when there is room to send; made when it is needed first

	mu     sync.Mutex // for shutdown, which may come late
	closed bool

	// State of flush, which waits for room. A func value made once: a closure
	// for each call would be an allocation.
	pending [maxVectors]segment
	nvec    int
	sent    int
	errno   syscall.Errno
	flushFn func(fd uintptr) bool
}

// maxVectors is how many buffers one send takes at most.
const maxVectors = 2*maxLent + 1

// newSocket makes a socket that shares conn's connection and outlives conn. Until
// conn is closed the runtime's poller hears of what comes from there, too.
func newSocket(conn net.Conn) (*socket, error) {
	s := &socket{conn: conn}
	s.flushFn = s.flushOnce
	if err := s.adopt(conn); err != nil {
		return nil, fmt.Errorf("socket of connection from %s: %w", conn.RemoteAddr(), err)
	}
	return s, nil
}

func (s *socket) adopt(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("no socket but a %T", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	if e := raw.Control(func(theirs uintptr) { fd, err = unix.FcntlInt(theirs, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		return cmp.Or(e, os.NewSyscallError("fcntl", err))
	}
	s.fd = uintptr(fd)
	if s.in, err = newGate(fd, unix.EPOLLIN|unix.EPOLLRDHUP); err != nil {
		_ = unix.Close(fd)
		return err
	}
	return nil
}

// close gives the socket up. Nobody uses it any more but for shutdown.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.in.close()
	if s.out != nil {
		s.out.close()
	}
	_ = unix.Close(int(s.fd))
}

// recv reads what is there into p. It returns EAGAIN if nothing is.
func (s *socket) recv(p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, s.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// recv2 reads into a and, when that is full, into b.
func (s *socket) recv2(a, b []byte) (int, syscall.Errno) {
	iov := [2]unix.Iovec{
		{Base: unsafe.SliceData(a), Len: uint64(len(a))},
		{Base: unsafe.SliceData(b), Len: uint64(len(b))},
	}
	for {
		// The descriptor does not wait by itself: the runtime made it so.
		n, _, e := syscall.RawSyscall(unix.SYS_READV, s.fd, uintptr(unsafe.Pointer(&iov[0])), 2)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// send writes as much of p as the socket takes now.
func (s *socket) send(p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, s.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// sendv is send for what stands in up to maxVectors places.
func (s *socket) sendv(all []segment) (int, syscall.Errno) {
	var iov [maxVectors]unix.Iovec
	for i, p := range all {
		iov[i] = unix.Iovec{Base: unsafe.SliceData(p.b), Len: uint64(len(p.b))}
	}
	msg := unix.Msghdr{Iov: &iov[0], Iovlen: uint64(len(all))}
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, s.fd, uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// flush waits until the socket takes some of s.pending[:s.nvec] and returns
// how much. One goroutine at a time.
func (s *socket) flush() (int, error) {
	if s.out == nil {
		var err error
		if s.out, err = newGate(int(s.fd), unix.EPOLLOUT); err != nil {
			return 0, err
		}
	}
	s.sent, s.errno = 0, 0
	if err := s.out.raw.Read(s.flushFn); err != nil {
		return 0, err
	}
	if s.errno != 0 {
		return 0, s.errno
	}
	return s.sent, nil
}

func (s *socket) flushOnce(uintptr) bool {
	s.sent, s.errno = s.sendv(s.pending[:s.nvec])
	return s.errno != unix.EAGAIN
}

// shutdown ends both directions: whoever waits for the socket wakes up, what
// was sent still arrives.
func (s *socket) shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		// An error means that the peer was faster.
		_ = unix.Shutdown(int(s.fd), unix.SHUT_RDWR)
	}
}
