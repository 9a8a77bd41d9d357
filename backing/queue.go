package backing

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Async is a Store whose I/O a Queue can carry out.
type Async interface {
	// Direct returns the descriptor on which n bytes at off can be read or
	// written past the page cache with nobody waiting, from and to memory that
	// is aligned to 4096 bytes. False: that cannot be; use ReadAt or WriteAt.
	Direct(off int64, n int, write bool) (fd int, ok bool)
}

// Queue has the kernel carry out I/O past the page cache while nobody waits for
// it (Linux's native AIO: io_submit(2)). What would have to wait before it can
// even begin comes back undone. It is used by one goroutine at a time.
//
// io_uring would do as well; native AIO is what containers allow, belongs to
// the process instead of to the thread that happened to submit, and needs
// nothing from the kernel that is younger than RWF_NOWAIT. See
// docs/decisions/0022-native-aio.md.
type Queue struct {
	ctx     uintptr // aio_context_t: also where the kernel has mapped its ring
	cells   []cell
	free    []int32
	pending []*iocb // not submitted yet
	events  []ioEvent
	done    []Done
}

// cell is a place for one request.
type cell struct {
	cb    iocb
	owner any
}

// Done is a request that came back.
type Done struct {
	Owner any  // as it was given to Add
	OK    bool // all of it was moved; else nobody knows how much
}

// iocb and ioEvent are the kernel's (include/uapi/linux/aio_abi.h).
type iocb struct {
	data   uint64
	_      uint32 // key: the kernel's
	flags  uint32
	opcode uint16
	_      int16
	fd     uint32
	buf    uint64
	n      uint64
	off    int64
	_      uint64
	_      uint32 // flags
	_      uint32
}

type ioEvent struct {
	data uint64
	_    uint64
	res  int64
	_    int64
}

const (
	opRead  = 0
	opWrite = 1
	opPoll  = 5
)

// NewQueue makes a Queue for n requests at a time. There is a limit to what all
// queues of a machine can hold (fs.aio-max-nr).
func NewQueue(n int) (*Queue, error) {
	q := &Queue{cells: make([]cell, n), free: make([]int32, 0, n), pending: make([]*iocb, 0, n), events: make([]ioEvent, n), done: make([]Done, 0, n)}
	for i := range n {
		q.free = append(q.free, int32(n-1-i))
	}
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, uintptr(n), uintptr(unsafe.Pointer(&q.ctx)), 0); e != 0 {
		return nil, fmt.Errorf("make a queue for %d requests (io_setup): %w", n, e)
	}
	return q, nil
}

// Add takes a request in: to read into p, or to write from it, at off. It
// begins with Submit. fd and off are of Async.Direct, and p is the Queue's until
// owner comes back. False: the queue is full.
func (q *Queue) Add(owner any, fd int, write bool, p []byte, off int64) bool {
	c := q.take(owner)
	if c == nil {
		return false
	}
	c.cb.opcode, c.cb.flags = opRead, unix.RWF_NOWAIT
	if write {
		c.cb.opcode = opWrite
	}
	c.cb.fd, c.cb.buf, c.cb.n, c.cb.off = uint32(fd), uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))), uint64(len(p)), off
	q.pending = append(q.pending, &c.cb)
	return true
}

// Watch has owner come back when there is something to receive from a socket,
// once. False: the queue is full.
func (q *Queue) Watch(owner any, socket int) bool {
	c := q.take(owner)
	if c == nil {
		return false
	}
	c.cb.opcode, c.cb.flags, c.cb.fd, c.cb.buf, c.cb.n, c.cb.off = opPoll, 0, uint32(socket), unix.POLLIN|unix.POLLRDHUP, 0, 0
	q.pending = append(q.pending, &c.cb)
	return true
}

func (q *Queue) take(owner any) *cell {
	last := len(q.free) - 1
	if last < 0 {
		return nil
	}
	i := q.free[last]
	q.free = q.free[:last]
	c := &q.cells[i]
	c.owner, c.cb.data = owner, uint64(i)
	return c
}

// Submit begins what was added. What the kernel does not take at all comes
// back undone: refused is good until the next call of the Queue.
func (q *Queue) Submit() (refused []Done) {
	q.done = q.done[:0]
	for rest := q.pending; len(rest) > 0; {
		n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, q.ctx, uintptr(len(rest)), uintptr(unsafe.Pointer(unsafe.SliceData(rest))))
		if e == unix.EINTR {
			continue
		}
		if e != 0 || n == 0 {
			q.done = append(q.done, Done{Owner: q.put(rest[0].data)})
			n = 1
		}
		rest = rest[n:]
	}
	q.pending = q.pending[:0]
	return q.done
}

// put frees a cell and returns whose it was.
func (q *Queue) put(i uint64) any {
	c := &q.cells[i]
	owner := c.owner
	c.owner = nil
	q.free = append(q.free, int32(i))
	return owner
}

// ring is the start of struct aio_ring (fs/aio.c), as libaio reads it.
type ring struct {
	_, _       uint32
	head, tail uint32 // of what came back
	magic      uint32
}

const ringMagic = 0xa10a10a1

// empty says, without a system call, that nothing came back.
func (q *Queue) empty() bool {
	r := *(**ring)(unsafe.Pointer(&q.ctx))
	return r.magic == ringMagic && atomic.LoadUint32(&r.head) == atomic.LoadUint32(&r.tail)
}

// Reap returns what came back, and waits until something did if it is to. What
// it returns is good until the next call of the Queue.
func (q *Queue) Reap(wait bool) []Done {
	q.done = q.done[:0]
	if !wait && q.empty() {
		return q.done
	}
	var n uintptr
	for {
		var e syscall.Errno
		if wait {
			// The scheduler is told: another goroutine may run meanwhile.
			n, _, e = unix.Syscall6(unix.SYS_IO_GETEVENTS, q.ctx, 1, uintptr(len(q.events)), uintptr(unsafe.Pointer(unsafe.SliceData(q.events))), 0, 0)
		} else {
			var none unix.Timespec
			n, _, e = unix.RawSyscall6(unix.SYS_IO_GETEVENTS, q.ctx, 0, uintptr(len(q.events)), uintptr(unsafe.Pointer(unsafe.SliceData(q.events))),
				uintptr(unsafe.Pointer(&none)), 0)
		}
		if e == 0 {
			break
		}
		if e != unix.EINTR || !wait {
			n = 0
			if e != unix.EINTR {
				// Only a bug could be why; it must not become a busy loop.
				time.Sleep(time.Millisecond)
			}
			break
		}
	}
	for _, e := range q.events[:n] {
		ok := e.res == int64(q.cells[e.data].cb.n)
		q.done = append(q.done, Done{Owner: q.put(e.data), OK: ok})
	}
	return q.done
}

// Close waits until nothing is carried out any more and gives the Queue up.
func (q *Queue) Close() error {
	if _, _, e := unix.Syscall(unix.SYS_IO_DESTROY, q.ctx, 0, 0); e != 0 {
		return fmt.Errorf("give up a queue (io_destroy): %w", e)
	}
	return nil
}
