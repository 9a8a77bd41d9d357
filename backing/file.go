package backing

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is a Store in a regular file or on a block device, through the page
// cache or, if the file was opened with O_DIRECT, past it.
//
// Reads that the page cache can answer and writes into it are done at once
// (Prompt); what has to wait for a device is left to a caller who may.
type File struct {
	f        *os.File
	fd       int
	size     atomic.Int64
	readOnly bool
	block    bool // a block device
	align    int  // O_DIRECT: what offset, length and address must be multiples of; 0: page cache

	// queued says that a Queue may carry I/O out: O_DIRECT on a file system
	// that says when it would have to wait.
	queued bool

	reads  promptness
	writes promptness
	closed atomic.Bool

	flushes  flushes
	datasync func(fd int) error // fdatasync
	// failed holds the first error of fdatasync. The kernel marks pages clean
	// whose write-back failed, so a second fdatasync would say that all is
	// well though data is lost; from the first failure on Sync never succeeds.
	failed atomic.Pointer[error]
	// slowUntil is the time (since opened) until which writes are not tried
	// inline: the last one had to wait, probably for write-back.
	slowUntil atomic.Int64
	opened    time.Time
}

// promptness says how a file takes I/O that must not wait.
type promptness byte

const (
	never  promptness = iota // always ErrWouldBlock
	nowait                   // RWF_NOWAIT
	always                   // never waits (tmpfs), or may for once (page cache writes, see TryWriteAt)
)

// FileOptions say how a file is used.
type FileOptions struct {
	ReadOnly bool
	// CacheUnless is the size of the blocks that will be asked for, in bytes: if
	// O_DIRECT takes only larger ones, the file goes through the page cache
	// instead. 0: it does not.
	CacheUnless int
}

// NewFile makes a Store of an open file or block device. O_DIRECT is taken
// from how f was opened. The Store owns f from then on.
func NewFile(f *os.File, o FileOptions) (*File, error) {
	var st unix.Stat_t
	fd := int(f.Fd())
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat backing file %s: %w", f.Name(), err)
	}
	s := &File{f: f, fd: fd, readOnly: o.ReadOnly, opened: time.Now(), datasync: unix.Fdatasync}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFBLK:
		s.block = true
	default:
		return nil, fmt.Errorf("backing file %s is neither a regular file nor a block device", f.Name())
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, fmt.Errorf("flags of backing file %s: %w", f.Name(), err)
	}
	if flags&unix.O_DIRECT != 0 {
		s.align = directAlignment(fd)
		if n := o.CacheUnless; n > 0 && n%s.align != 0 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags&^unix.O_DIRECT); err != nil {
				return nil, fmt.Errorf("use the page cache for backing file %s: %w", f.Name(), err)
			}
			s.align = 0
		}
	}
	if _, err := s.Refresh(); err != nil {
		return nil, err
	}
	s.probe()
	return s, nil
}

// directAlignment asks the kernel what O_DIRECT wants; 4096 serves everywhere.
func directAlignment(fd int) int {
	var stx unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &stx)
	if err != nil || stx.Mask&unix.STATX_DIOALIGN == 0 || stx.Dio_offset_align == 0 {
		return 4096
	}
	return int(max(stx.Dio_offset_align, stx.Dio_mem_align))
}

// probe finds out which I/O need not wait. Not every file system knows
// RWF_NOWAIT; tmpfs does not and never waits.
func (s *File) probe() {
	if s.align != 0 {
		p := alignUp(make([]byte, 2*max(s.align, 4096)), 4096)[:s.align]
		_, err := s.rw(unix.SYS_PREADV2, p, 0, unix.RWF_NOWAIT)
		s.queued = s.align <= 4096 && (err == nil || errors.Is(err, unix.EAGAIN))
		return
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(s.fd, &fs); err == nil && !s.block &&
		(fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC) {
		s.reads, s.writes = always, always
		return
	}
	s.writes = always
	var b [1]byte
	if _, err := s.rw(unix.SYS_PREADV2, b[:], 0, unix.RWF_NOWAIT); err == nil || errors.Is(err, unix.EAGAIN) {
		s.reads = nowait
	}
}

// Alignment is what O_DIRECT wants offsets and lengths to be multiples of, or
// 0 if the file goes through the page cache. A device's blocks must be.
func (s *File) Alignment() int { return s.align }

// Size implements Store.
func (s *File) Size() int64 { return s.size.Load() }

// Refresh implements Grower.
func (s *File) Refresh() (int64, error) {
	// Not lseek: the offset of a block device's descriptor is of no use to
	// anybody, and SEEK_END gives the size of both kinds.
	n, err := unix.Seek(s.fd, 0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("size of backing file %s: %w", s.f.Name(), err)
	}
	s.size.Store(n)
	return n, nil
}

func (s *File) check(n int, off int64) error {
	if off < 0 || int64(n) > s.size.Load()-off {
		return io.ErrUnexpectedEOF
	}
	if s.closed.Load() {
		return os.ErrClosed
	}
	return nil
}

// ReadAt implements Store.
func (s *File) ReadAt(p []byte, off int64) (int, error) {
	if err := s.check(len(p), off); err != nil {
		return 0, err
	}
	if s.align != 0 && (!aligned(p, s.align) || s.misaligned(len(p), off)) {
		return s.bounceRead(p, off)
	}
	return s.readAll(p, off)
}

func (s *File) readAll(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(s.fd, p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF // somebody cut the file short
		}
		if err != nil {
			return done, s.wrap("read", done, off, err)
		}
		done += n
	}
	return done, nil
}

// WriteAt implements Store.
func (s *File) WriteAt(p []byte, off int64) (int, error) {
	if err := s.check(len(p), off); err != nil {
		return 0, err
	}
	if s.readOnly {
		return 0, s.wrap("write", 0, off, unix.EROFS)
	}
	if s.align != 0 && !aligned(p, s.align) {
		return s.bounceWrite(p, off)
	}
	return s.writeAll(p, off)
}

func (s *File) writeAll(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(s.fd, p[done:], off+int64(done))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return done, s.wrap("write", done, off, err)
		}
		done += n
	}
	return done, nil
}

// TryReadAt implements Prompt.
func (s *File) TryReadAt(p []byte, off int64) (int, error) {
	if err := s.check(len(p), off); err != nil {
		return 0, err
	}
	done := 0
	for done < len(p) {
		var n int
		var err error
		switch s.reads {
		case nowait:
			n, err = s.rw(unix.SYS_PREADV2, p[done:], off+int64(done), unix.RWF_NOWAIT)
		case always:
			n, err = s.rw(unix.SYS_PREADV2, p[done:], off+int64(done), 0)
		default:
			return 0, ErrWouldBlock
		}
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN || err == unix.EOPNOTSUPP:
			return done, ErrWouldBlock
		case err == nil && n == 0:
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return done, s.wrap("read", done, off, err)
		}
		done += n
	}
	return done, nil
}

// slow is how long an inline write may take before the next ones are left to
// callers who may wait, and calm for how long they are.
const (
	slow = 2 * time.Millisecond
	calm = 100 * time.Millisecond
)

// TryWriteAt implements Prompt. A write into the page cache is a copy, as a
// rule, but most file systems cannot promise it (no RWF_NOWAIT for buffered
// writes on ext4): it is tried, and if one had to wait for write-back, the
// next ones are left to callers who may wait until that has calmed down.
func (s *File) TryWriteAt(p []byte, off int64) (int, error) {
	if s.writes == never || s.readOnly {
		return 0, ErrWouldBlock
	}
	if err := s.check(len(p), off); err != nil {
		return 0, err
	}
	if s.reads == always { // tmpfs
		done := 0
		for done < len(p) {
			n, err := s.rw(unix.SYS_PWRITEV2, p[done:], off+int64(done), 0)
			if err == unix.EINTR {
				continue
			}
			if err == nil && n == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				return done, s.wrap("write", done, off, err)
			}
			done += n
		}
		return done, nil
	}
	start := time.Since(s.opened)
	if int64(start) < s.slowUntil.Load() {
		return 0, ErrWouldBlock
	}
	n, err := s.writeAll(p, off)
	if end := time.Since(s.opened); end-start > slow {
		s.slowUntil.Store(int64(end + calm))
	}
	return n, err
}

// rw is preadv2 or pwritev2 of one buffer. Short transfers that do not wait
// are made without telling the Go scheduler, which costs as much as the
// copy of 4 KiB itself; long ones tell it, so that a stop of the world need
// not wait for them.
func (s *File) rw(trap uintptr, p []byte, off int64, flags int) (int, error) {
	const long = 128 << 10
	if len(p) == 0 {
		return 0, nil
	}
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	var n uintptr
	var errno syscall.Errno
	if len(p) <= long {
		n, _, errno = unix.RawSyscall6(trap, uintptr(s.fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), 0, uintptr(flags))
	} else {
		n, _, errno = unix.Syscall6(trap, uintptr(s.fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), 0, uintptr(flags))
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// Sync implements Store.
func (s *File) Sync() error {
	if s.readOnly {
		return nil
	}
	return s.flushes.do(func() error {
		if p := s.failed.Load(); p != nil {
			return *p
		}
		err := s.datasync(s.fd)
		for err == unix.EINTR {
			err = s.datasync(s.fd)
		}
		if err != nil {
			err = s.wrap("flush", 0, 0, err)
			s.failed.Store(&err)
		}
		return err
	})
}

// Close implements Store. I/O that is still on its way gets an error: the
// descriptor's number stays taken (by an epoll instance, which can be neither
// read nor written) until nothing refers to the Store any more, so that no
// late I/O can ever reach another file that was given the same number.
func (s *File) Close() error {
	if s.closed.Swap(true) {
		return os.ErrClosed
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("close backing file %s: %w", s.f.Name(), err)
	}
	defer func() { _ = unix.Close(ep) }()
	if err := unix.Dup3(ep, s.fd, unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("close backing file %s: %w", s.f.Name(), err)
	}
	return nil // the *os.File closes the number when it is collected
}

func (s *File) wrap(verb string, done int, off int64, err error) error {
	return &Error{Op: verb, Name: s.f.Name(), Offset: off + int64(done), Err: err}
}

// Error is a failed I/O on a file or block device.
type Error struct {
	Op     string // read, write, flush, zero
	Name   string
	Offset int64 // byte at which it failed
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s backing file %s at byte %d: %v", e.Op, e.Name, e.Offset, e.Err)
}

// Unwrap returns the cause, as a rule a syscall.Errno.
func (e *Error) Unwrap() error { return e.Err }
