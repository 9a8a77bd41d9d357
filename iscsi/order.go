package iscsi

import (
	"slices"

	"github.com/esos-project/esos/iscsi/wire"
)

// heldPDU is a request that cannot be carried out yet: CmdSNs before it are
// missing, or a task management function has to end first. Its unsolicited
// Data-Out waits with it.
type heldPDU struct {
	cmdSN uint32
	itt   uint32
	pdus  [][]byte // as they came, without digests and padding
}

// maxHeld bounds the bytes that a connection may have held.
const maxHeld = 8 << 20

// inOrder says that h is the next request to be carried out.
func (c *connection) inOrder(h *wire.BHS) bool {
	return h.Immediate() || h.CmdSN() == c.expCmdSN && c.inflight < c.window && c.barrier == 0 && !c.loggedOut
}

func (c *connection) advanceCmdSN(h *wire.BHS) {
	if !h.Immediate() {
		c.expCmdSN++
	}
}

// dispatch carries out a whole PDU, or holds it until its turn comes.
func (c *connection) dispatch(h *wire.BHS, ahs, data []byte) error {
	if c.loggedOut {
		return nil // nothing counts after a logout
	}
	switch h.Opcode() {
	case wire.OpDataOut:
		// Comes here only while others are held: it may belong to one of them.
		c.holdData(h, data)
		return nil
	case wire.OpSNACK:
		c.reject(h, wire.RejectSNACK) // only of use with an error recovery level
		return nil
	}
	if h.Immediate() {
		if err := c.carryOut(h, ahs, data); err != nil {
			return err
		}
		return c.deliver() // it may have aborted what the others wait for
	}
	switch ahead := int32(h.CmdSN() - c.expCmdSN); {
	case ahead < 0 || ahead >= int32(c.window-c.inflight):
		return nil // a duplicate, or outside of the window: ignored (RFC 7143 4.2.2.1)
	case ahead > 0 || c.barrier > 0:
		return c.hold(h, ahs, data)
	}
	c.expCmdSN++
	if err := c.carryOut(h, ahs, data); err != nil {
		return err
	}
	return c.deliver()
}

// hold keeps a request for later.
func (c *connection) hold(h *wire.BHS, ahs, data []byte) error {
	i, found := slices.BinarySearchFunc(c.held, h.CmdSN(), byCmdSN)
	if found {
		return nil // a duplicate
	}
	pdu := slices.Concat(h[:], ahs, data)
	c.held = slices.Insert(c.held, i, heldPDU{h.CmdSN(), h.ITT(), [][]byte{pdu}})
	return c.holding(len(pdu))
}

func byCmdSN(p heldPDU, sn uint32) int { return int(int32(p.cmdSN - sn)) }

func (c *connection) holding(n int) error {
	if c.heldSize += n; c.heldSize > maxHeld {
		return violated("more than %d bytes of commands that wait for CmdSN %d", maxHeld, c.expCmdSN)
	}
	return nil
}

// holdData takes a Data-Out while requests are held.
func (c *connection) holdData(h *wire.BHS, data []byte) {
	if h.TTT() == wire.NoTag {
		for i := range c.held {
			p := &c.held[i]
			if p.itt != h.ITT() {
				continue
			}
			pdu := slices.Concat(h[:], data)
			if c.holding(len(pdu)) == nil {
				p.pdus = append(p.pdus, pdu)
			}
			return
		}
	}
	c.dataOut(h, data)
}

// dataOut takes a Data-Out that is here as a whole.
func (c *connection) dataOut(h *wire.BHS, data []byte) {
	c.beginDataOut(h)
	c.landing.tailNeed, c.landing.digested = 0, false // that was looked at
	c.landing.take(data)
	c.landed()
}

// deliver carries out held requests whose turn it is.
func (c *connection) deliver() error {
	for len(c.held) > 0 && c.barrier == 0 && c.held[0].cmdSN == c.expCmdSN && !c.loggedOut {
		p := c.held[0]
		c.held = slices.Delete(c.held, 0, 1)
		c.expCmdSN++
		for i, pdu := range p.pdus {
			c.heldSize -= len(pdu)
			h := wire.View(pdu)
			rest := pdu[wire.HeaderLength:]
			if i > 0 {
				c.dataOut(h, rest)
				continue
			}
			if err := c.carryOut(h, rest[:h.AHSLength()], rest[h.AHSLength():]); err != nil {
				return err
			}
		}
	}
	return nil
}

// carryOut does what a request asks for.
func (c *connection) carryOut(h *wire.BHS, ahs, data []byte) error {
	op := h.Opcode()
	if op == wire.OpSCSICommand {
		c.scsiCommand(h, ahs, data, false)
		return nil
	}
	if len(ahs) > 0 {
		c.reject(h, wire.RejectInvalidField)
		return nil
	}
	switch op {
	case wire.OpNOPOut:
		c.nopOut(h, data)
	case wire.OpTMFRequest:
		c.taskManagement(h)
	case wire.OpTextRequest:
		return c.textRequest(h, data)
	case wire.OpLogout:
		return c.logout(h)
	case wire.OpLoginRequest:
		return violated("a Login Request in the full feature phase")
	default:
		c.reject(h, wire.RejectNotSupported)
	}
	return nil
}
