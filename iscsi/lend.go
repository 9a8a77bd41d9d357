package iscsi

import "github.com/esos-project/esos/iscsi/wire"

// lendFrom is how much data is sent from where it stands. Less is cheaper to
// copy.
const lendFrom = 16 << 10

// lend answers t with the data in its own buffer, which goes back when it is
// sent: what the kernel read past the page cache is not copied once more. It
// puts all Data-Ins of t into the batch but for the last one's header, as Sent
// does, or does nothing and returns false. The lock is held, and not given up.
func (c *connection) lend(t *command) bool {
	d, b := &t.in, &c.out
	left := min(t.InLen, int(d.room-d.sent))
	// At most; where a burst is no multiple of the longest PDU each ends with a
	// shorter one.
	burst := int(c.params.maxBurst)
	pdus := left/min(c.maxDataIn, burst) + left/burst + 2
	if left < lendFrom || left%4 != 0 || pdus > maxLent {
		return false
	}
	around := c.dataInLength(0)
	if len(b.lent)+pdus > maxLent || b.free() < pdus*around {
		c.tx.send(b)
		if b.buf == nil {
			b.buf = get(&c.server.pools.transmit)
		}
	}
	for data := t.out.buf.b[:left]; len(data) > 0; {
		c.seal(t, 0, 0, 0)
		n := min(len(data), c.maxDataIn, int(c.params.maxBurst-d.burst))
		d.at, d.open, d.length, d.lent = b.n, true, n, data[:n:n]
		b.lent = append(b.lent, lent{at: b.n + wire.HeaderLength + c.headerDigest, b: d.lent})
		b.n += around
		d.sent += uint32(n)
		d.burst += uint32(n)
		data = data[n:]
	}
	b.lent[len(b.lent)-1].home = t.out.buf
	c.forgo(t)
	return true
}
