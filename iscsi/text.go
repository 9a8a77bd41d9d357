package iscsi

import (
	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
)

// textExchange is a text negotiation that goes over several PDUs: a request in
// parts (C bit), or an answer that is fetched piece by piece.
type textExchange struct {
	itt    uint32
	asked  []byte // parts of the request so far
	answer []byte // what is still to be sent
	open   bool
}

// textTag is the target transfer tag of an exchange that goes on. There is one
// exchange at a time, so there is one tag.
const textTag = 0x54455854

// textRequest answers a Text Request (RFC 7143 11.10).
func (c *connection) textRequest(h *wire.BHS, data []byte) error {
	x := &c.text
	if h.TTT() == wire.NoTag {
		*x = textExchange{itt: h.ITT()} // gives up one that was going on (RFC 7143 11.10.4)
	} else if !x.open || h.TTT() != textTag || h.ITT() != x.itt {
		c.reject(h, wire.RejectProtocolError)
		return nil
	}
	if h.Final() && h.Continue() {
		return violated("a Text Request with both the F and the C bit")
	}
	if len(x.answer) > 0 { // the initiator asks for more of it
		if len(data) > 0 {
			return violated("text was sent before ours had ended")
		}
		c.textResponse(h)
		return nil
	}
	if len(x.asked)+len(data) > wire.MaxTextLength {
		return violated("more than %d bytes of text", wire.MaxTextLength)
	}
	x.asked = append(x.asked, data...)
	if h.Continue() {
		x.open = true
		c.textPDU(h, nil, false, false)
		return nil
	}
	text, err := wire.ParseText(x.asked)
	if err != nil {
		return violated("%v", err)
	}
	x.asked = nil
	r := c.session.login // a copy: what is declared anew is of the connection
	x.answer = login.AnswerText(text, &r, func(name string) []login.Record {
		return c.server.records(r.Initiator, name, c.sock.conn.LocalAddr())
	}).Append(nil)
	if _, anew := text.Get("MaxRecvDataSegmentLength"); anew {
		c.maxDataIn = min(int(r.MaxSendDataSegmentLength), maxSegment)
	}
	c.textResponse(h)
	return nil
}

// textResponse sends the next piece of the answer.
func (c *connection) textResponse(h *wire.BHS) {
	x := &c.text
	var chunk []byte
	chunk, x.answer = login.Chunk(x.answer, uint32(c.maxDataIn))
	more := len(x.answer) > 0
	x.open = more || !h.Final()
	c.textPDU(h, chunk, h.Final() && !more, more)
}

func (c *connection) textPDU(h *wire.BHS, data []byte, final, more bool) {
	pdu := c.reserve(len(data))
	r := wire.TextResponse{Final: final, Continue: more, DataLength: len(data), LUN: h.LUN(), ITT: h.ITT(), TTT: textTag,
		Seq: c.nextStatus()}
	if final {
		r.TTT = wire.NoTag
	}
	r.Put(wire.View(pdu))
	copy(c.body(pdu), data)
	c.finishPDU(pdu, 0, len(data))
}
