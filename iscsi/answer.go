package iscsi

import (
	"time"

	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// sequence is the numbering of a response that takes no StatSN. The lock is
// held, here and below.
func (c *connection) sequence() wire.Sequence {
	return wire.Sequence{StatSN: c.statSN, ExpCmdSN: c.expCmdSN, MaxCmdSN: c.expCmdSN + c.window - c.inflight - 1}
}

// nextStatus is the numbering of a response that takes a StatSN.
func (c *connection) nextStatus() wire.Sequence {
	s := c.sequence()
	c.statSN++
	return s
}

// reserve makes room in the batch for a PDU with n bytes of data and returns
// it. The caller writes header and data and calls finishPDU.
func (c *connection) reserve(n int) []byte {
	size := c.dataInLength(n)
	if n == 0 {
		size = wire.HeaderLength + c.headerDigest
	}
	if c.out.free() < size {
		c.tx.send(&c.out)
		if c.out.buf == nil {
			c.out.buf = get(&c.server.pools.transmit)
		}
	}
	at := c.out.n
	c.out.n += size
	return c.out.buf.b[at : at+size : at+size]
}

// body is where the data segment of a PDU of ours starts.
func (c *connection) body(pdu []byte) []byte { return pdu[wire.HeaderLength+c.headerDigest:] }

// flush sends the batch and gives its buffer back.
func (c *connection) flush() {
	c.tx.send(&c.out)
	if c.out.buf != nil {
		c.out.buf.free()
		c.out.buf = nil
	}
}

// reject sends a Reject for the PDU with header h.
func (c *connection) reject(h *wire.BHS, why wire.RejectReason) {
	c.server.rejected.Add(1)
	pdu := c.reserve(wire.HeaderLength)
	r := wire.Reject{Reason: why, DataLength: wire.HeaderLength, Seq: c.nextStatus()}
	copy(c.body(pdu), h[:])
	r.Put(wire.View(pdu))
	c.finishPDU(pdu, 0, wire.HeaderLength)
}

// count adds t to the counters of its path.
func (c *connection) count(t *command) {
	p := t.Path
	if p == nil {
		return
	}
	kind := t.Kind()
	n := int(t.in.sent)
	if kind == scsi.Write {
		n = len(t.Out)
	}
	p.Count(kind, n, time.Duration(c.server.clock()-t.started), t.Status == scsi.Good || t.Status == scsi.ConditionMet)
}
