package iscsi

import (
	"sync"

	"github.com/esos-project/esos/backing"
)

// away are the commands of a connection whose I/O the kernel carries out while
// nobody waits for it (scsi.Offload): those of devices past the page cache. The
// receive goroutine sends them off, all of a batch at once, and takes back what
// has returned. While some are out it waits for them and the socket in one.
type away struct {
	queue   queue // made when it is needed first
	refused bool  // there is none to be had
	used    int64 // when something was sent off last, on the server's clock
	out     int   // commands that are out
	unsent  int   // of these, not submitted yet
	watched bool  // the queue watches the socket

	receiving bool        // the receive goroutine is at work, under the lock
	back      []*command  // reads that returned and are not answered yet
	socket    watchedMark // what the queue returns for the socket
}

type watchedMark struct{ _ byte }

// queue is a backing.Queue.
type queue interface {
	Add(owner any, fd int, write bool, p []byte, off int64) bool
	Watch(owner any, socket int) bool
	Submit() (refused []backing.Done)
	Reap(wait bool) []backing.Done
	Close() error
}

func newQueue(n int) (queue, error) { return backing.NewQueue(n) }

const (
	// awaySize is how many commands of a connection may be out at a time.
	awaySize = 64
	// maxAway is the longest transfer of one, in bytes. Longer ones hold up
	// nobody who hands them to a worker.
	maxAway = 1 << 20
	// A disk works best while we do: so many commands are submitted at a time
	// while the rest of a batch is still read, and so many bytes of what has
	// returned sent while the rest is still copied.
	submitEach = 4
	answerFrom = 32 << 10
	// awayIdle is after how long a queue that is not used is given up, in ns.
	awayIdle = 10_000_000_000
)

// limit is what scsi.Task.MaxOffload is for a command that is executed now.
func (a *away) limit() int {
	if !a.receiving || a.refused || a.out >= awaySize {
		return 0
	}
	return maxAway
}

// depart sends t off. The lock is held.
func (c *connection) depart(t *command) {
	o := &t.Offload
	a := &c.away
	p := t.Out
	if !o.Write && c.claim(t, o.Len) {
		p = t.out.buf.b[:o.Len]
	}
	if len(p) != o.Len || !c.haveQueue() || !a.queue.Add(t, o.FD, o.Write, p, o.Off) {
		c.returned(t, false)
		return
	}
	a.out++
	a.unsent++
	a.used = c.now
	if a.unsent >= submitEach {
		c.submit()
	}
}

func (c *connection) haveQueue() bool {
	a := &c.away
	if a.queue != nil || a.refused {
		return a.queue != nil
	}
	q, err := c.server.newQueue(awaySize + 1) // one for the socket
	if err != nil {
		a.refused = true
		c.server.log.Info("commands that have to wait for a device go to workers", "session", c.session.id(), "why", err)
		return false
	}
	a.queue = q
	return true
}

// submit begins the I/O of those that were sent off. The lock is held.
func (c *connection) submit() {
	a := &c.away
	if a.unsent == 0 {
		return
	}
	a.unsent = 0
	for _, d := range a.queue.Submit() {
		c.takeBack(d)
	}
}

// welcome takes back what has returned and answers it; with wait, when
// something has or the socket has something. It says whether anything was there.
// The receive goroutine calls it, without the lock.
func (c *connection) welcome(wait bool) bool {
	a := &c.away
	var came []backing.Done
	if a.out > 0 {
		if wait && len(a.back) == 0 {
			c.sock.in.shut() // the queue watches it
			c.watch()
		}
		came = a.queue.Reap(wait && len(a.back) == 0)
	}
	if len(came) == 0 && len(a.back) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.server.clock()
	a.receiving = true
	sends := c.tx.sends
	for _, d := range came {
		c.takeBack(d)
	}
	c.answerReturned()
	c.flush()
	a.receiving = false
	c.vigil.owed = c.vigil.owed || c.tx.sends != sends
	return true
}

// watch has the queue watch the socket, too.
func (c *connection) watch() {
	a := &c.away
	if a.watched || !a.queue.Watch(&a.socket, int(c.sock.fd)) {
		return
	}
	a.watched = true
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range a.queue.Submit() {
		c.takeBack(d)
	}
}

func (c *connection) takeBack(d backing.Done) {
	t, ok := d.Owner.(*command)
	if !ok {
		c.away.watched = false
		return
	}
	c.away.out--
	c.returned(t, d.OK)
}

// returned goes on with t. What it held of its device it holds no longer. The
// lock is held.
func (c *connection) returned(t *command, moved bool) {
	read := !t.Offload.Write
	switch ended := c.session.nexus.Finish(&t.Task, moved); {
	case ended && read && !t.Aborted():
		t.admitted = false
		t.state.Store(answering)
		c.away.back = append(c.away.back, t)
	case ended:
		t.admitted = false
		c.complete(t)
	case t.Aborted():
		c.forget(t)
	default:
		t.state.Store(queued)
		c.workers.submit(t)
	}
}

// answerReturned sends the data of the reads that have returned; of long ones,
// one. The lock is held; it is given up while the initiator does not read.
func (c *connection) answerReturned() {
	a := &c.away
	for i := 0; i < len(a.back); i++ {
		t := a.back[i]
		a.back[i] = nil
		for c.tx.full() && !t.Aborted() {
			c.waitForSpace()
		}
		if !t.Aborted() && c.lend(t) {
			c.complete(t)
			if c.out.size() >= answerFrom {
				c.tx.send(&c.out)
				a.back = append(a.back[:0], a.back[i+1:]...)
				return // commands may have come: the disk should have them
			}
			continue
		}
		for data := t.out.buf.b[:t.InLen]; len(data) > 0; {
			room, wait := t.TryRoom(len(data))
			if wait {
				for c.tx.full() && !t.Aborted() {
					c.waitForSpace()
				}
				continue
			}
			if room == nil {
				break
			}
			n := copy(room, data)
			t.Sent(n)
			data = data[n:]
		}
		c.complete(t)
		if c.out.n >= answerFrom {
			c.tx.send(&c.out)
		}
	}
	a.back = a.back[:0]
}

// waitForSpace gives up the lock until the initiator has read something.
func (c *connection) waitForSpace() { c.waitFor(&c.tx.space) }

// waitFor gives up the lock until others tell of event. On the receive goroutine
// what is out comes back first, for nobody else takes it back: an initiator that
// does not read must not hold up what others want of a device, and who waits
// for tasks to end may be waiting for just these.
func (c *connection) waitFor(event *sync.Cond) {
	a := &c.away
	at := a.receiving
	a.receiving = false
	if at && a.out > 0 {
		c.comeBack()
	} else {
		event.Wait()
	}
	a.receiving = at
}

// comeBack waits until nothing is out. The lock is held, and given up.
func (c *connection) comeBack() {
	a := &c.away
	c.submit()
	for a.out > 0 {
		c.mu.Unlock()
		came := a.queue.Reap(true)
		c.mu.Lock()
		for _, d := range came {
			c.takeBack(d)
		}
	}
}

// endAway waits until nothing is out and gives the queue up. The connection is
// over, its tasks are aborted, and the lock is held.
func (c *connection) endAway() {
	c.comeBack()
	a := &c.away
	for _, t := range a.back {
		c.complete(t)
	}
	a.back = nil
	c.closeQueue()
}

// tidyAway gives up a queue that nothing needed for long: a machine has room for
// so many only.
func (c *connection) tidyAway(now int64) {
	if !c.mu.TryLock() {
		return // it is at work
	}
	defer c.mu.Unlock()
	if c.away.out == 0 && now-c.away.used > awayIdle {
		c.closeQueue()
	}
}

func (c *connection) closeQueue() {
	q := c.away.queue
	if q == nil {
		return
	}
	c.away.queue, c.away.watched = nil, false
	if err := q.Close(); err != nil {
		c.server.log.Warn("cannot give up a connection's queue", "session", c.session.id(), "err", err)
	}
}
