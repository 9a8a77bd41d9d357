package iscsi

import (
	"time"

	"github.com/esos-project/esos/iscsi/wire"
)

// nopOut answers a ping of the initiator, with its data. A NOP-Out without a
// task tag is itself an answer.
func (c *connection) nopOut(h *wire.BHS, data []byte) {
	if h.ITT() == wire.NoTag {
		return
	}
	data = data[:min(len(data), c.maxDataIn)]
	pdu := c.reserve(len(data))
	n := wire.NOPIn{DataLength: len(data), LUN: h.LUN(), ITT: h.ITT(), TTT: wire.NoTag, Seq: c.nextStatus()}
	n.Put(wire.View(pdu))
	copy(c.body(pdu), data)
	c.finishPDU(pdu, 0, len(data))
}

// ping asks the initiator whether it is there. The lock is held.
func (c *connection) ping(now int64) {
	if c.tx.closed || c.tx.queued > 0 {
		return // the socket is full: TCP finds out whether the initiator is there
	}
	c.lastPing = now
	c.pings++
	pdu := c.reserve(0)
	n := wire.NOPIn{ITT: wire.NoTag, TTT: c.pings & 0x7fffffff, Seq: c.sequence()}
	n.Put(wire.View(pdu))
	c.finishPDU(pdu, 0, 0)
	c.flush()
}

// tend is called about every second: it pings an initiator that was silent,
// gives up one that does not answer, and lets go of workers and of vigils that
// are not needed.
func (c *connection) tend(now int64) {
	c.workers.trim()
	c.tidyAway(now)
	heard := c.lastReceived.Load()
	if now-heard > int64(time.Second) {
		c.server.calm(&c.vigil)
	}
	s := c.session
	if s.nexus == nil {
		if now-heard > int64(c.server.options.DiscoveryTimeout) {
			c.kick("a discovery session that was idle too long")
		}
		return
	}
	if s.pingInterval <= 0 {
		return
	}
	if !c.mu.TryLock() {
		return // it is at work
	}
	stuck := c.tx.queued > 0
	if at := [2]int{c.tx.head, c.tx.queued}; stuck && at != c.stuckAt {
		c.stuckAt = at
		c.lastPing = 0 // it reads, so it is there
	}
	asked := c.lastPing
	late := asked > heard && now-asked > int64(s.pingTimeout)
	switch {
	case asked > heard: // an answer is due, or late
	case stuck:
		// It does not even read: from now on counts as if it had been pinged.
		c.lastPing = max(heard+1, now)
	case now-heard > int64(s.pingInterval):
		c.ping(now)
	}
	c.mu.Unlock()
	if late {
		c.kick("the initiator did not answer a ping in " + s.pingTimeout.String())
	}
}
