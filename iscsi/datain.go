package iscsi

import (
	"github.com/esos-project/esos/iscsi/wire"
)

// dataIn is the Data-In side of a command: it is the command's scsi.Transfer.
// The device fills the transmit buffer itself, behind the place of a header
// that is written when it is known whether the PDU is the last one.
type dataIn struct {
	out *batch // where PDUs go: the connection's batch, or the worker's

	room   uint32 // bytes of Data-In that the initiator has room for
	sent   uint32 // bytes handed to Sent
	burst  uint32 // of these, in the sequence that has not ended
	dataSN uint32

	// The last PDU, when its header is still to be written.
	open    bool
	at      int    // where it starts in out
	length  int    // of its data
	lent    []byte // its data, if that stands elsewhere: in out are header and digests only
	pduRoom int    // what Room gave
}

// Room implements scsi.Transfer.
func (t *command) Room(n int) []byte {
	room, _ := t.roomFor(n, true)
	return room
}

// TryRoom implements scsi.PromptTransfer.
func (t *command) TryRoom(n int) ([]byte, bool) { return t.roomFor(n, false) }

// roomFor is Room with patience, TryRoom without.
func (t *command) roomFor(n int, patient bool) (room []byte, wait bool) {
	c, d := t.conn, &t.in
	if n <= 0 || t.Aborted() {
		return nil, false
	}
	if d.sent == d.room {
		return nil, false
	}
	if d.open {
		// Not the last one: the device has more. Its header must be written
		// before its buffer is sent.
		t.lock()
		c.seal(t, 0, 0, 0)
		t.unlock()
	}
	n = min(n, int(d.room-d.sent), c.maxDataIn, int(c.params.maxBurst-d.burst))
	if need := c.dataInLength(n); d.out.free() < need {
		t.lock()
		ok, wait := c.makeRoom(t, need, patient)
		t.unlock()
		if !ok {
			return nil, wait
		}
	}
	d.at, d.pduRoom = d.out.n, n
	start := d.at + wire.HeaderLength + c.headerDigest
	return d.out.buf.b[start : start+n : start+n], false
}

// Sent implements scsi.Transfer.
func (t *command) Sent(n int) {
	d := &t.in
	if n <= 0 || n > d.pduRoom {
		return
	}
	d.open, d.length, d.pduRoom = true, n, 0
	d.sent += uint32(n)
	d.burst += uint32(n)
	d.out.n = d.at + t.conn.dataInLength(n)
}

// lock takes the connection's lock if a worker runs t; else the receive
// goroutine has it.
func (t *command) lock() {
	if t.onWorker {
		t.conn.mu.Lock()
	}
}

func (t *command) unlock() {
	if t.onWorker {
		t.conn.mu.Unlock()
	}
}

// dataInLength is the length on the wire of a Data-In with n bytes of data.
func (c *connection) dataInLength(n int) int {
	return wire.HeaderLength + c.headerDigest + n + wire.Padding(n) + c.dataDigest
}

// makeRoom sees to it that the batch of t has room for a PDU of need bytes. It
// may wait for the initiator to read if it is to be patient; else wait says
// that it would have to. Without that, false means that nobody waits for the
// data any more.
func (c *connection) makeRoom(t *command, need int, patient bool) (ok, wait bool) {
	b := t.in.out
	if b.n > 0 {
		c.tx.send(b)
	}
	for c.tx.full() && !t.Aborted() {
		if !patient {
			return false, true
		}
		if t.slot < 0 {
			// While the lock is given up others have to find t, to abort it.
			c.tasks.add(t)
		}
		if t.onWorker {
			c.tx.space.Wait()
		} else {
			c.waitForSpace()
		}
	}
	if c.tx.closed || t.Aborted() {
		return false, false
	}
	// While the lock was given up to wait, others may have used the
	// connection's own batch.
	if b.buf != nil && b.free() < need {
		c.tx.send(b)
	}
	if b.buf == nil {
		p := &c.server.pools.transmit
		if t.onWorker {
			p = &c.server.pools.worker
		}
		b.buf = get(p)
	}
	return true, false
}

// seal writes the header of t's open Data-In, with the status if flags has
// FlagStatus, and the digests. The lock is held.
func (c *connection) seal(t *command, flags, status byte, residual uint32) {
	d := &t.in
	if !d.open {
		return
	}
	d.open = false
	if d.burst >= c.params.maxBurst || d.sent == d.room {
		flags |= wire.FlagFinal
	}
	if flags&wire.FlagFinal != 0 {
		d.burst = 0
	}
	seq := c.sequence()
	if flags&wire.FlagStatus != 0 {
		c.statSN++
	} else {
		seq.StatSN = 0
	}
	inPlace := d.length - len(d.lent)
	pdu := d.out.buf.b[d.at : d.at+c.dataInLength(inPlace)]
	(&wire.DataIn{Flags: flags, Status: status, DataLength: d.length, ITT: t.itt, TTT: wire.NoTag, Seq: seq,
		DataSN: d.dataSN, Offset: d.sent - uint32(d.length), Residual: residual}).Put(wire.View(pdu))
	d.dataSN++
	c.finishPDU(pdu, 0, inPlace)
	if c.dataDigest > 0 && d.lent != nil {
		wire.PutDigest(pdu[len(pdu)-wire.DigestLength:], wire.Digest(d.lent))
	}
	d.lent = nil
}

// finishPDU writes the padding and the digests of a PDU that is complete
// otherwise. ahs is the length of its additional header segments.
func (c *connection) finishPDU(pdu []byte, ahs, data int) {
	h := wire.HeaderLength + ahs
	body := h + c.headerDigest
	end := body + data
	for i := range wire.Padding(data) {
		pdu[end+i] = 0
	}
	end += wire.Padding(data)
	if c.headerDigest > 0 {
		wire.PutDigest(pdu[h:], wire.Digest(pdu[:h]))
	}
	if c.dataDigest > 0 && data > 0 {
		wire.PutDigest(pdu[end:], wire.Digest(pdu[body:end]))
	}
}
