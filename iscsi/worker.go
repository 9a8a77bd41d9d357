package iscsi

import (
	"sync"
)

// workers are the goroutines of a connection that may wait for a device. They
// are started when a task needs one and end when they were idle for a while.
type workers struct {
	conn *connection
	max  int

	mu      sync.Mutex // below the connection's lock
	wake    sync.Cond
	queue   []*command // queue[head:] waits
	head    int
	running int // goroutines
	idle    int // of these, waiting for a task and not yet called
	spare   int // lowest idle since the last trim
	leave   int // idle ones that are to end
	stopped bool
	all     sync.WaitGroup
	fn      func()
}

func (w *workers) init(c *connection) {
	w.conn, w.max = c, c.server.options.Workers
	w.wake.L = &w.mu
	w.fn = w.run
}

// submit queues t for a worker.
func (w *workers) submit(t *command) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.head > 0 && len(w.queue) == cap(w.queue) {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, t)
	switch {
	case w.idle > 0:
		w.idle--
		w.spare = min(w.spare, w.idle)
		w.wake.Signal()
	case w.running < w.max || w.stopped:
		// After stop only tasks that were resumed come: somebody has to
		// give them back.
		w.running++
		w.all.Add(1)
		go w.fn()
	}
}

// next returns the next task; nil says that the worker is to end.
func (w *workers) next() *command {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.queue) {
		if w.stopped || w.leave > 0 {
			w.leave = max(w.leave-1, 0)
			w.running--
			return nil
		}
		w.idle++
		w.wake.Wait()
	}
	t := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	if w.head == len(w.queue) {
		w.queue, w.head = w.queue[:0], 0
	}
	return t
}

// trim ends the workers that nobody has needed since the last trim.
func (w *workers) trim() {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(w.spare, w.idle)
	w.idle -= n
	w.leave += n
	w.spare = w.idle
	for range n {
		w.wake.Signal()
	}
}

// stop waits until all workers have ended.
func (w *workers) stop() {
	w.mu.Lock()
	w.stopped = true
	w.idle = 0
	w.wake.Broadcast()
	w.mu.Unlock()
	w.all.Wait()
}

func (w *workers) run() {
	defer w.all.Done()
	c := w.conn
	out := &batch{}
	for t := w.next(); t != nil; t = w.next() {
		c.execute(t, out)
	}
}

// execute runs t on a worker. out is the worker's own batch.
func (c *connection) execute(t *command, out *batch) {
	c.mu.Lock()
	if t.Aborted() {
		c.forget(t)
		c.mu.Unlock()
		return
	}
	t.state.Store(running)
	t.onWorker, t.in.out = true, out
	c.mu.Unlock()

	t.MayBlock = true
	ended := c.session.nexus.Execute(&t.Task)

	c.mu.Lock()
	defer c.mu.Unlock()
	if !ended {
		t.held()
		return
	}
	t.admitted, t.onWorker = false, false
	if out.n == 0 {
		t.in.out = &c.out
	}
	c.complete(t)
	c.tx.send(out)
	if out.buf != nil {
		out.buf.free()
		out.buf = nil
	}
	out.n = 0
	c.flush()
}
