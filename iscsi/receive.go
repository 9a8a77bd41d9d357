package iscsi

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/iscsi/wire"
)

// step takes what the socket has and works through it. It is called by the
// poller whenever there may be something; false means to wait for more, true
// that the connection is over (c.err says why).
//
// A receive that did not fill its buffer took all that there was (epoll(7): the
// poller hears of what comes later, if the gate is open). So where there is no time to stay awake
// the connection goes to sleep without asking again, and the sessions of a
// busy server take turns: the scheduler looks for others that have something
// only when nobody runs.
func (c *connection) step(uintptr) bool {
	c.slept()
	if c.server.crowded() {
		// Let those go first that were found to have something together with
		// us: meanwhile more comes, and a longer batch costs less for each.
		runtime.Gosched()
	}
	for {
		if c.in == nil {
			c.in = get(&c.server.pools.receive)
			c.r, c.w = 0, 0
		}
		n, e := 0, unix.EAGAIN
		if !c.drained {
			n, e = c.fill()
		}
		c.drained = false
		if e == unix.EAGAIN {
			var returned bool
			if n, e, returned = c.keepVigil(); returned {
				continue
			}
		}
		if e == unix.EAGAIN && (c.away.out > 0 || len(c.away.back) > 0) {
			c.welcome(true)
			c.slept()
			continue
		}
		if e == unix.EAGAIN && c.sock.in.isShut {
			if err := c.sock.in.open(); err != nil {
				c.err = fmt.Errorf("wait for the initiator: %w", err)
				return true
			}
			n, e = c.fill() // the poller may not tell of what came before
		}
		if e == unix.EAGAIN {
			if c.r == c.w {
				// An idle connection holds no buffer.
				c.in.free()
				c.in = nil
			}
			return false
		}
		if c.err = received(n, e); c.err != nil {
			return true
		}
		if c.err = c.work(); c.err != nil {
			return true
		}
		c.welcome(false)
	}
}

// landFrom is how much of a data segment has to be missing for it to be
// received straight into its command's buffer. Less is cheaper to copy.
const landFrom = 4 << 10

// fill receives once: into the buffer of the command whose data is half here,
// if there is one, and what follows into the receive buffer.
func (c *connection) fill() (int, syscall.Errno) {
	if dst := c.landing.direct(); dst != nil {
		// All that was in the receive buffer has landed.
		c.r, c.w = 0, 0
		n, e := c.sock.recv2(dst, c.in.b)
		if e == 0 && n > 0 {
			c.drained = n < len(dst)+len(c.in.b)
			here := min(n, len(dst))
			c.landing.received(dst[:here])
			c.w = n - here
		}
		return n, e
	}
	c.compact()
	room := c.in.b[c.w:]
	n, e := c.sock.recv(room)
	if e == 0 && n > 0 {
		c.drained = n < len(room)
		c.w += n
	}
	return n, e
}

// compact makes room behind what is received, if it is needed: a whole PDU
// must fit.
func (c *connection) compact() {
	if c.r == c.w {
		c.r, c.w = 0, 0
		return
	}
	// Copy little, or when there is no other way.
	if have := c.w - c.r; have <= 8<<10 || len(c.in.b)-c.r < c.maxPDU() {
		copy(c.in.b, c.in.b[c.r:c.w])
		c.r, c.w = 0, have
	}
}

// maxPDU is the longest PDU that the initiator may send.
func (c *connection) maxPDU() int { return int(c.params.maxReceive) + pduOverhead }

// pduOverhead is what a PDU can be longer than its data: header, additional
// header segments, padding and both digests.
const pduOverhead = wire.HeaderLength + wire.MaxAHSLength + 3 + 2*wire.DigestLength

// work carries out all PDUs that are here and sends the answers.
func (c *connection) work() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.server.clock()
	c.lastReceived.Store(c.now)
	sends := c.tx.sends
	c.away.receiving = true
	err := c.parse()
	c.flush()
	c.submit()
	defer func() {
		c.away.receiving = false
		c.vigil.owed = c.tx.sends != sends
	}()
	if errors.Is(err, errLoggedOut) {
		c.finish()
	}
	if err != nil {
		return err
	}
	c.backpressure()
	if c.tx.broken != nil {
		return errPeerGone
	}
	return nil
}

// backpressure waits while too much is queued: who does not read is not read
// from. Our own batch is empty then.
func (c *connection) backpressure() {
	for c.tx.full() {
		c.waitForSpace()
	}
}

func (c *connection) parse() error {
	for {
		if c.landing.active {
			c.r += c.landing.take(c.in.b[c.r:c.w])
			if !c.landing.complete() {
				return nil
			}
			c.landed()
			continue
		}
		in := c.in.b[c.r:c.w]
		if len(in) < wire.HeaderLength {
			return nil
		}
		h := wire.View(in)
		ahs, data := h.AHSLength(), h.DataLength()
		start := wire.HeaderLength + ahs + c.headerDigest
		if len(in) < start {
			return nil
		}
		if !c.headerSeen {
			if err := c.checkHeader(h, in[:start]); err != nil {
				return err
			}
			c.headerSeen = true
		}
		if h.Opcode() == wire.OpDataOut && len(c.held) == 0 {
			c.r += start
			c.headerSeen = false
			c.beginDataOut(h)
			continue
		}
		end := start
		if data > 0 {
			end += data + wire.Padding(data) + c.dataDigest
		}
		if len(in) < end {
			if h.Opcode() == wire.OpSCSICommand && data >= landFrom && int(h.Expected()) > data && c.inOrder(h) {
				c.r += start
				c.headerSeen = false
				c.advanceCmdSN(h)
				c.scsiCommand(h, in[wire.HeaderLength:wire.HeaderLength+ahs], nil, true)
				continue
			}
			return nil
		}
		c.r += end
		c.headerSeen = false
		body := in[start : start+data]
		if c.dataDigest > 0 && data > 0 {
			padded := start + data + wire.Padding(data)
			if wire.Digest(in[start:padded]) != wire.ReadDigest(in[padded:]) {
				// The PDU counts as never received: its CmdSN is not used up
				// (RFC 7143 7.8).
				c.reject(h, wire.RejectDataDigest)
				continue
			}
		}
		if err := c.dispatch(h, in[wire.HeaderLength:wire.HeaderLength+ahs], body); err != nil {
			return err
		}
		if c.out.n >= sendFrom || c.tx.full() {
			c.tx.send(&c.out)
			c.backpressure()
		}
	}
}

// sendFrom is how many bytes of answers are sent without waiting for the end
// of the batch. Large pieces are cheaper: with 512 KiB, reads of 128 KiB cost
// less than half of what they do with 128 KiB, for the initiator is woken less
// often in the middle of its work.
const sendFrom = 512 << 10

// checkHeader looks at what every PDU has: lengths and the header's digest.
func (c *connection) checkHeader(h *wire.BHS, header []byte) error {
	if c.headerDigest > 0 {
		end := len(header) - wire.DigestLength
		if wire.Digest(header[:end]) != wire.ReadDigest(header[end:]) {
			// The lengths cannot be trusted: the next PDU cannot be found
			// (RFC 7143 7.7).
			return violated("header digest error")
		}
	}
	if n := h.DataLength(); n > int(c.params.maxReceive) {
		return violated("%s with a data segment of %d bytes, MaxRecvDataSegmentLength is %d", h.Opcode(), n, c.params.maxReceive)
	}
	return nil
}
