package iscsi

import (
	"github.com/esos-project/esos/iscsi/wire"
)

// landing is a data segment that is being received, header first: it goes
// where its command gathers it, or nowhere.
type landing struct {
	active bool
	cmd    *command // nil: nobody wants the data
	header wire.BHS
	dst    []byte // where the next byte goes
	left   int    // bytes of data to come
	length int    // of the data

	// Padding and digest follow the data.
	tail     [3 + wire.DigestLength]byte
	tailHave int
	tailNeed int
	padding  int
	digested bool
	digest   uint32
}

// begin prepares for the data segment of the PDU with header h, for t.
func (l *landing) begin(t *command, h *wire.BHS, digest int) {
	n := h.DataLength()
	*l = landing{active: true, cmd: t, header: *h, left: n, length: n, digested: digest > 0 && n > 0}
	if t != nil {
		l.dst = t.out.dst()
	}
	if n > 0 {
		l.padding = wire.Padding(n)
		l.tailNeed = l.padding + digest
	}
}

// discard takes a data segment that nobody wants.
func (l *landing) discard(h *wire.BHS, digest int) { l.begin(nil, h, digest) }

// direct is where data may be received without a copy; nil if it may not, or
// if it would not be worth it.
func (l *landing) direct() []byte {
	if l.left < landFrom || len(l.dst) < l.left {
		return nil
	}
	return l.dst[:l.left]
}

// received says that p, the start of what direct gave, was received.
func (l *landing) received(p []byte) {
	if l.digested {
		l.digest = wire.UpdateDigest(l.digest, p)
	}
	l.left -= len(p)
	l.dst = l.dst[len(p):]
}

// take takes what belongs to the segment from the start of p and returns how
// much that was.
func (l *landing) take(p []byte) int {
	n := min(l.left, len(p))
	if l.digested {
		l.digest = wire.UpdateDigest(l.digest, p[:n])
	}
	k := copy(l.dst, p[:n])
	l.dst = l.dst[k:]
	l.left -= n
	if l.left == 0 {
		k := copy(l.tail[l.tailHave:l.tailNeed], p[n:])
		l.tailHave += k
		n += k
	}
	return n
}

func (l *landing) complete() bool { return l.left == 0 && l.tailHave == l.tailNeed }

// damaged compares the digest of a complete segment.
func (l *landing) damaged() bool {
	if !l.digested {
		return false
	}
	return wire.UpdateDigest(l.digest, l.tail[:l.padding]) != wire.ReadDigest(l.tail[l.padding:])
}

// landed goes on with the command whose data is complete.
func (c *connection) landed() {
	l := &c.landing
	t, damaged := l.cmd, l.damaged()
	l.active, l.cmd, l.dst = false, nil, nil
	if damaged {
		c.reject(&l.header, wire.RejectDataDigest)
	}
	switch {
	case t == nil:
	case t.state.Load() == dead:
		c.release(t)
	default:
		c.arrived(t, &l.header, l.length, damaged)
	}
}
