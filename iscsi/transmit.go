package iscsi

import (
	"sync"

	"golang.org/x/sys/unix"
)

// batch is PDUs on their way out, one behind the other in a buffer. The
// connection has one for what it answers itself, each worker has one for the
// Data-In of its task.
type batch struct {
	buf  *buffer
	n    int    // bytes of whole PDUs in buf
	lent []lent // data that belongs between them
}

// lent is data that is sent from where it stands: behind the first at bytes of
// its batch.
type lent struct {
	at   int
	b    []byte
	home *buffer // goes back when b is sent; nil: the next one's is the same
}

// maxLent is how many pieces of data a batch takes that stand elsewhere.
const maxLent = 12

// size is how many bytes b sends.
func (b *batch) size() int {
	n := b.n
	for _, l := range b.lent {
		n += len(l.b)
	}
	return n
}

// segments appends what b sends, in order. The last of them, which may be empty,
// has the buffer of b.
func (b *batch) segments(all []segment) []segment {
	at := 0
	for _, l := range b.lent {
		if at < l.at {
			all = append(all, segment{b: b.buf.b[at:l.at:l.at]})
			at = l.at
		}
		all = append(all, segment{l.b, l.home})
	}
	return append(all, segment{b.buf.b[at:b.n], b.buf})
}

// giveBack forgets what b holds, but for its buffer.
func (b *batch) giveBack() {
	for i, l := range b.lent {
		if l.home != nil {
			l.home.free()
		}
		b.lent[i] = lent{}
	}
	b.n, b.lent = 0, b.lent[:0]
}

func (b *batch) free() int {
	if b.buf == nil {
		return 0
	}
	return len(b.buf.b) - b.n
}

// transmitter sends batches in order. When the socket is full, what is left
// goes to a queue that a goroutine empties, so that whoever answers need not
// wait: an initiator that sends before it reads is not waited for.
//
// Everything but the socket's own state is guarded by the connection's lock.
type transmitter struct {
	mu     *sync.Mutex
	sock   *socket
	limit  int       // bytes queued from which on nobody adds more Data-In
	space  sync.Cond // queue shrank, a task was aborted, or closed is set
	queue  []segment
	head   int       // first segment of queue
	queued int       // bytes in queue
	sends  int       // calls of send that had something
	pieces []segment // of a batch that is being sent

	draining bool
	closed   bool
	broken   error // why the socket takes nothing any more
	drainFn  func()
	drained  sync.WaitGroup
}

// segment is a piece of the queue. Its buffer, if it has one, goes back when it
// is sent.
type segment struct {
	b   []byte
	buf *buffer
}

func newTransmitter(mu *sync.Mutex, s *socket, limit int) *transmitter {
	t := &transmitter{mu: mu, sock: s, limit: limit}
	t.space.L = mu
	t.drainFn = t.drain
	return t
}

// send sends what b holds, now or as soon as the socket takes it. b is empty
// after that, and without a buffer if it had to be queued.
func (t *transmitter) send(b *batch) {
	if b.n == 0 {
		return
	}
	t.sends++
	if t.closed {
		b.giveBack()
		return
	}
	if len(b.lent) > 0 {
		t.sendLent(b)
		return
	}
	sent := 0
	if t.queued == 0 {
		n, e := t.sock.send(b.buf.b[:b.n])
		switch {
		case e == 0:
			sent = n
		case e != unix.EAGAIN:
			t.fail(e)
			b.n = 0
			return
		}
		if sent == b.n {
			b.n = 0
			return
		}
	}
	if t.join(b.buf.b[sent:b.n]) {
		b.n = 0
		return
	}
	t.push(segment{b.buf.b[sent:b.n], b.buf})
	b.buf, b.n = nil, 0
}

// sendLent is send for a batch whose data does not all stand in its buffer.
func (t *transmitter) sendLent(b *batch) {
	t.pieces = b.segments(t.pieces[:0])
	sent := 0
	if t.queued == 0 {
		n, e := t.sock.sendv(t.pieces)
		if e != 0 && e != unix.EAGAIN {
			t.fail(e)
			b.giveBack()
			return
		}
		if e == 0 {
			sent = n
		}
		if sent == b.size() {
			clear(t.pieces)
			b.giveBack()
			return
		}
	}
	for _, s := range t.pieces {
		n := min(sent, len(s.b))
		sent -= n
		if s.b = s.b[n:]; len(s.b) > 0 || s.buf == b.buf {
			t.push(s)
		} else if s.buf != nil {
			s.buf.free()
		}
	}
	clear(t.pieces)
	clear(b.lent)
	b.buf, b.n, b.lent = nil, 0, b.lent[:0]
}

// join copies p behind what is queued last, if there is room in its buffer. An
// initiator that asks for little at a time and does not read would have a
// whole buffer held for each answer otherwise.
func (t *transmitter) join(p []byte) bool {
	if t.head == len(t.queue) || len(p) > transmitBuffer/4 {
		return false
	}
	last := &t.queue[len(t.queue)-1]
	if cap(last.b)-len(last.b) < len(p) {
		return false
	}
	// What drain may be sending of it stays where it is.
	last.b = append(last.b, p...)
	t.queued += len(p)
	return true
}

func (t *transmitter) push(s segment) {
	if t.head > 0 && len(t.queue) == cap(t.queue) {
		n := copy(t.queue, t.queue[t.head:])
		clear(t.queue[n:])
		t.queue, t.head = t.queue[:n], 0
	}
	t.queue = append(t.queue, s)
	t.queued += len(s.b)
	if !t.draining {
		t.draining = true
		t.drained.Add(1)
		go t.drainFn()
	}
}

// full says that the initiator is too far behind to be sent more Data-In.
func (t *transmitter) full() bool { return t.queued > t.limit && !t.closed }

// drain empties the queue.
func (t *transmitter) drain() {
	defer t.drained.Done()
	t.mu.Lock()
	for t.queued > 0 && !t.closed {
		n := 0
		for _, s := range t.queue[t.head:] {
			if n == maxVectors {
				break
			}
			t.sock.pending[n] = s
			n++
		}
		t.sock.nvec = n
		t.mu.Unlock()
		sent, err := t.sock.flush()
		t.mu.Lock()
		if err != nil {
			t.fail(err)
			break
		}
		t.advance(sent)
		t.space.Broadcast()
	}
	t.draining = false
	t.mu.Unlock()
}

func (t *transmitter) advance(n int) {
	t.queued -= n
	for t.head < len(t.queue) {
		s := &t.queue[t.head]
		if n < len(s.b) {
			s.b = s.b[n:]
			return
		}
		n -= len(s.b)
		if s.buf != nil {
			s.buf.free()
		}
		*s = segment{}
		t.head++
	}
	if t.head == len(t.queue) {
		t.queue, t.head = t.queue[:0], 0
	}
}

// fail notes that the socket is broken and wakes the receive goroutine, which
// ends the connection.
func (t *transmitter) fail(err error) {
	if t.broken == nil {
		t.broken = err
	}
	t.sock.shutdown()
	t.close()
}

// close drops what is queued and lets nobody wait any more.
func (t *transmitter) close() {
	t.closed = true
	t.space.Broadcast()
}

// release gives the buffers back; when drain has ended.
func (t *transmitter) release() {
	for _, s := range t.queue[t.head:] {
		if s.buf != nil {
			s.buf.free()
		}
	}
	t.queue, t.head, t.queued = nil, 0, 0
}
