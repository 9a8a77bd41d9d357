package iscsi

import (
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// gather is the Data-Out side of a command that does not have all of its data
// in its own PDU.
//
// Data comes in order: DataPDUInOrder and DataSequenceInOrder are always Yes.
// So the next byte is always at got, and the sequences that were asked for
// (R2T) end one after the other.
type gather struct {
	buf     *buffer
	charged int // of the budget
	need    int // bytes that the command takes
	got     int // bytes that came; may be more than need, up to Expected

	unsolicited bool   // data that was not asked for is still coming
	dataSN      uint32 // of the next Data-Out of the sequence
	r2tSN       uint32 // R2Ts sent
	ended       uint32 // R2Ts whose sequence has ended
	asked       int    // up to here data was asked for
	end         int    // of the sequence that is coming
	turn        uint32 // see command.ttt

	// failed says that the status is decided (Task.Status): what the initiator
	// may still send is taken and thrown away, then the status goes out.
	failed bool
}

// Sense of commands that end because of how their data came (RFC 7143 11.4.7.2).
var (
	unexpectedData = scsi.Sense{Key: scsi.AbortedCommand, Code: 0x0c0c}
	wrongAmount    = scsi.Sense{Key: scsi.AbortedCommand, Code: 0x0c0d}
	damagedData    = scsi.Sense{Key: scsi.AbortedCommand, Code: 0x4705}
	tooLarge       = scsi.Sense{Key: scsi.IllegalRequest, Code: 0x5503} // INSUFFICIENT RESOURCES
)

// gather begins the Data-Out of t. If all of it is here t is executed at once,
// from the receive buffer.
func (c *connection) gather(t *command, h *wire.BHS, data []byte, landing bool) {
	g := &t.out
	n, final := h.DataLength(), h.Final()
	g.unsolicited = !final && t.write
	if t.write {
		g.need = min(t.OutLen, int(min(t.Expected, 1<<30)))
	}
	switch {
	case !t.admitted:
		g.failed = true
	case n > 0 && (!t.write || !c.params.immediate), g.unsolicited && c.params.initialR2T:
		c.fail(t, unexpectedData)
	case n > int(min(c.params.firstBurst, t.Expected)):
		c.fail(t, wrongAmount)
	}
	if !g.unsolicited && !landing && (n >= g.need || g.failed) {
		if g.failed {
			c.complete(t)
			return
		}
		t.Out = data[:g.need]
		c.run(t)
		return
	}
	t.state.Store(gathering)
	c.tasks.add(t)
	if !g.failed && g.need > 0 && !c.buffer(t) {
		if n > 0 || g.unsolicited {
			c.tooBusy(t)
		} else if !g.failed {
			t.state.Store(starved)
			c.starve()
			return
		}
	}
	if landing {
		c.landing.begin(t, h, c.dataDigest)
		return
	}
	g.take(data)
	c.advance(t)
}

// take copies immediate data that is here already.
func (g *gather) take(data []byte) {
	if g.buf != nil {
		copy(g.buf.b[:g.need], data)
	}
	g.got += len(data)
}

// dst is where the next Data-Out goes; shorter than what comes if there is too
// much of it, or if it is thrown away.
func (g *gather) dst() []byte {
	if g.buf == nil || g.failed || g.got >= g.need {
		return nil
	}
	return g.buf.b[g.got:g.need]
}

// buffer gets memory for t's data within the budgets of the server and of the
// session.
func (c *connection) buffer(t *command) bool {
	g := &t.out
	shift, ok := gatherShift(g.need)
	size := 1 << shift
	if !ok || size > c.server.options.sessionBudget() {
		c.fail(t, tooLarge)
		return false
	}
	if c.charged+size > c.server.options.sessionBudget() {
		c.overdrawn = true
		return false
	}
	return c.charge(t, shift)
}

func (c *connection) charge(t *command, shift int) bool {
	size := 1 << shift
	if !c.server.budget.take(size) {
		return false
	}
	c.charged += size
	t.out.charged = size
	t.out.buf = get(&c.server.pools.gather[shift])
	return true
}

// claim gets memory for the n bytes that t reads, if there is some to spare.
func (c *connection) claim(t *command, n int) bool {
	shift, ok := gatherShift(n)
	return ok && c.charged+1<<shift <= c.server.options.sessionBudget() && c.charge(t, shift)
}

// keepData copies the data of t out of the receive buffer, for a command that
// cannot be carried out at once. It had no say in the budget when it began, so
// it may exceed it: by no more than what the window lets the initiator send
// unasked.
func (c *connection) keepData(t *command) {
	if len(t.Out) == 0 || t.out.buf != nil {
		return
	}
	shift, _ := gatherShift(len(t.Out))
	g := &t.out
	g.charged = 1 << shift
	c.charged += g.charged
	c.server.budget.force(g.charged)
	g.buf = get(&c.server.pools.gather[shift])
	t.Out = g.buf.b[:copy(g.buf.b, t.Out)]
}

func (c *connection) dropBuffer(t *command) {
	if t.out.buf != nil {
		t.out.buf.free()
		c.forgo(t)
	}
}

// forgo says that somebody else has the buffer of t.
func (c *connection) forgo(t *command) {
	g := &t.out
	g.buf = nil
	c.charged -= g.charged
	c.server.giveBack(g.charged)
	g.charged = 0
	if c.overdrawn {
		c.overdrawn = false
		c.server.feed(c)
	}
}

// fail decides the status of t before all of its data came.
func (c *connection) fail(t *command, s scsi.Sense) {
	if t.out.failed {
		return
	}
	c.cancel(t)
	t.Fail(s)
}

// tooBusy ends t for want of memory; the initiator tries again later.
func (c *connection) tooBusy(t *command) {
	if t.out.failed {
		return
	}
	c.cancel(t)
	t.Status = scsi.TaskSetFull
}

func (c *connection) cancel(t *command) {
	t.out.failed = true
	if t.admitted {
		t.admitted = false
		c.session.nexus.Drop(&t.Task)
	}
}

// beginDataOut takes the header of a Data-Out. Its data is received into the
// place where the command wants it.
func (c *connection) beginDataOut(h *wire.BHS) {
	t := c.expecting(h)
	if t == nil {
		// For a command that was aborted, most likely: what it had asked for
		// may still come.
		c.landing.discard(h, c.dataDigest)
		return
	}
	g := &t.out
	n := h.DataLength()
	limit := g.end
	if g.unsolicited {
		limit = int(min(c.params.firstBurst, t.Expected))
	}
	switch {
	case h.DataSN() != g.dataSN || int(h.BufferOffset()) != g.got:
		c.fail(t, damagedData)
	case g.got+n > limit:
		c.fail(t, wrongAmount)
	}
	g.dataSN++
	c.landing.begin(t, h, c.dataDigest)
}

// expecting returns the command that waits for a Data-Out, nil if none does.
func (c *connection) expecting(h *wire.BHS) *command {
	if h.TTT() == wire.NoTag {
		t := c.tasks.find(h.ITT())
		if t == nil || !t.out.unsolicited || t.state.Load() != gathering {
			return nil
		}
		return t
	}
	t := c.tasks.byTTT(h.TTT())
	if t == nil || t.itt != h.ITT() || t.state.Load() != gathering || t.out.unsolicited ||
		t.out.ended == t.out.r2tSN || h.TTT() != t.ttt(t.out.ended) {
		return nil
	}
	return t
}

// arrived says that n bytes of data for t are here, in a PDU with header h.
func (c *connection) arrived(t *command, h *wire.BHS, n int, damaged bool) {
	g := &t.out
	g.got += n
	if damaged {
		c.fail(t, damagedData)
	}
	// Final of a command only says that no unsolicited Data-Out follows; it
	// ends no sequence.
	if h.Final() && h.Opcode() == wire.OpDataOut {
		g.dataSN = 0
		if g.unsolicited {
			g.unsolicited = false
		} else {
			g.ended++
			if g.got != g.end {
				c.fail(t, wrongAmount)
			}
			g.end = min(g.got+int(c.params.maxBurst), g.need)
		}
	}
	c.advance(t)
}

// advance does what is next for t: ask for more data, execute it, or end it.
func (c *connection) advance(t *command) {
	g := &t.out
	switch {
	case g.unsolicited:
		return
	case g.failed:
		if g.ended == g.r2tSN {
			c.complete(t)
		}
		return
	case g.got >= g.need && g.ended == g.r2tSN:
		if g.buf != nil {
			t.Out = g.buf.b[:g.need]
		}
		t.state.Store(running)
		c.run(t)
		return
	}
	if g.asked == 0 {
		g.asked = g.got
		g.end = min(g.got+int(c.params.maxBurst), g.need)
	}
	for g.asked < g.need && int(g.r2tSN-g.ended) < c.params.maxR2T {
		n := min(g.need-g.asked, int(c.params.maxBurst))
		pdu := c.reserve(0)
		r := wire.R2T{LUN: t.lun, ITT: t.itt, TTT: t.ttt(g.r2tSN), Seq: c.sequence(), R2TSN: g.r2tSN,
			Offset: uint32(g.asked), Desired: uint32(n)}
		r.Put(wire.View(pdu))
		c.finishPDU(pdu, 0, 0)
		g.r2tSN++
		g.asked += n
	}
}

// feed gives memory to commands of c that wait for some, as long as there is
// any. What it leaves goes to the next connection that waits.
func (c *connection) feed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tx.closed {
		c.server.feedNext()
		return
	}
	for _, t := range c.tasks.slots {
		if t == nil || t.state.Load() != starved {
			continue
		}
		if !c.buffer(t) && !t.out.failed {
			c.starve()
			c.flush()
			return
		}
		t.state.Store(gathering)
		c.advance(t)
	}
	c.flush()
	c.server.feedNext()
}

// starve has c fed when there is memory again. A session that has all that it
// may is fed when it gives some back itself, and does not stand in the way of
// the others.
func (c *connection) starve() {
	if c.overdrawn {
		c.server.feedNext()
		return
	}
	c.server.starve(c)
}
