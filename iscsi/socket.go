package iscsi

import (
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket moves bytes with raw system calls that never wait: a plain call into
// the kernel costs a fraction of what net.Conn does around it. To wait, it
// uses the runtime's poller, as net.Conn does.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn
	fd   uintptr // valid until close

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

func newSocket(conn net.Conn) (*socket, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection from %s is no socket but a %T", conn.RemoteAddr(), conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("socket of connection from %s: %w", conn.RemoteAddr(), err)
	}
	s := &socket{conn: conn, raw: raw}
	s.flushFn = s.flushOnce
	if err := raw.Control(func(fd uintptr) { s.fd = fd }); err != nil {
		return nil, fmt.Errorf("socket of connection from %s: %w", conn.RemoteAddr(), err)
	}
	return s, nil
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
	s.sent, s.errno = 0, 0
	if err := s.raw.Write(s.flushFn); err != nil {
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
	// An error means that the peer was faster.
	_ = s.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
