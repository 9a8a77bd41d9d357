package iscsi

import (
	"slices"
	"sync/atomic"

	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// command is a SCSI command from its PDU to its status. Connections reuse
// theirs.
type command struct {
	scsi.Task
	conn *connection
	in   dataIn
	out  gather

	itt       uint32
	cmdSN     uint32
	lun       uint64 // as it came, for R2T
	write     bool   // the initiator has Data-Out
	immediate bool   // takes no place in the CmdSN window
	admitted  bool   // Nexus.Drop is owed if it is not executed to its end
	onWorker  bool
	started   int64 // on the server's clock

	state atomic.Uint32 // taskState
	slot  int           // in the task table; -1 while the receive goroutine executes it
	next  *command      // in the free list

	cdb [16]byte
}

// States of a command. Running is first: a command that the receive goroutine
// carries out at once never has another.
const (
	running   uint32 = iota // being executed
	gathering               // waits for Data-Out
	starved                 // waits for memory to gather Data-Out in
	queued                  // waits for a worker
	lined                   // held back by Execute until Resume
	answering               // done with its device, and not answered yet
	dead                    // aborted; whoever still has it gives it back
)

// take returns a command that nobody uses.
func (c *connection) take() *command {
	t := c.tasks.unused
	if t == nil {
		t = &command{conn: c}
		t.in.out = &c.out
	} else {
		c.tasks.unused = t.next
	}
	t.next, t.slot = nil, -1
	return t
}

// release makes t free for another command.
func (c *connection) release(t *command) {
	if t.slot >= 0 {
		c.tasks.remove(t)
	}
	c.dropBuffer(t)
	if !t.immediate {
		c.inflight--
	}
	t.Reset()
	t.in = dataIn{out: &c.out}
	t.out = gather{}
	t.admitted, t.onWorker = false, false
	if t.state.Load() != running {
		t.state.Store(running)
	}
	t.next = c.tasks.unused
	c.tasks.unused = t
}

// scsiCommand begins a command. data is its immediate data; with landing, the
// data is still to come and goes straight where the command gathers it.
func (c *connection) scsiCommand(h *wire.BHS, ahs, data []byte, landing bool) {
	if c.session.nexus == nil {
		c.reject(h, wire.RejectProtocolError)
		if landing {
			c.landing.discard(h, c.dataDigest)
		}
		return
	}
	if h.Immediate() && c.tasks.immediates() >= extraTasks {
		c.reject(h, wire.RejectTooManyImmed)
		if landing {
			c.landing.discard(h, c.dataDigest)
		}
		return
	}
	t := c.take()
	t.itt, t.cmdSN, t.lun = h.ITT(), h.CmdSN(), h.LUN()
	t.immediate = h.Immediate()
	t.started = c.now
	copy(t.cdb[:], h.CDB())
	t.CDB = t.cdb[:]
	flags := h.Flags()
	t.write = flags&wire.FlagWrite != 0
	t.Task.LUN, _ = scsi.ParseLUN(h[8:16])
	t.Attr = scsi.TaskAttr(h.TaskAttr())
	t.Expected = h.Expected()
	t.Transfer = t
	if flags&wire.FlagRead != 0 && !t.write {
		t.in.room = t.Expected
	}
	if !t.immediate {
		c.inflight++
	}
	if len(ahs) > 0 {
		a, err := wire.ParseAHS(ahs)
		if err != nil {
			c.reject(h, wire.RejectInvalidField)
			c.release(t)
			if landing {
				c.landing.discard(h, c.dataDigest)
			}
			return
		}
		if a.ExtendedCDB != nil {
			t.CDB = slices.Concat(t.cdb[:], a.ExtendedCDB)
		}
		if a.BidiRead && flags&wire.FlagRead != 0 {
			t.in.room = a.BidiReadLength
		}
	}
	t.admitted = c.session.nexus.Admit(&t.Task)
	if !t.write && h.DataLength() == 0 {
		if !t.admitted {
			c.complete(t)
			return
		}
		c.run(t)
		return
	}
	c.gather(t, h, data, landing)
}

// run executes t on the receive goroutine. The lock is held.
func (c *connection) run(t *command) {
	t.MaxOffload = c.away.limit()
	if c.session.nexus.Execute(&t.Task) {
		t.admitted = false
		c.complete(t)
		return
	}
	// It goes on without the receive buffer and without our batch.
	c.seal(t, 0, 0, 0)
	c.keepData(t)
	if t.slot < 0 {
		c.tasks.add(t)
	}
	if t.Offload.Len > 0 {
		c.depart(t)
		return
	}
	if t.WouldBlock {
		t.state.Store(queued)
		c.workers.submit(t)
		return
	}
	t.held()
}

// held notes that Execute held t back, unless Resume was quicker. The lock is
// held.
func (t *command) held() {
	if t.state.CompareAndSwap(running, lined) && t.Aborted() {
		t.conn.dropLined(t)
	}
}

// Resume implements scsi.Transport: t may be executed now. It is called with
// and without the connection's lock held.
func (c *connection) Resume(task *scsi.Task) {
	t := task.Transfer.(*command)
	for {
		s := t.state.Load()
		if s != running && s != lined {
			return // it was aborted while the call was on its way
		}
		if t.state.CompareAndSwap(s, queued) {
			c.workers.submit(t)
			return
		}
	}
}

// complete sends t's status and forgets t. The lock is held.
func (c *connection) complete(t *command) {
	if t.Aborted() {
		c.release(t)
		c.ended.Broadcast()
		return
	}
	c.count(t)
	flags, residual := t.residual()
	if !t.immediate {
		// The answer itself opens the window for the next command.
		c.inflight--
		t.immediate = true // so that release does not count it again
	}
	if t.in.open && t.Status != scsi.CheckCondition {
		c.seal(t, wire.FlagFinal|wire.FlagStatus|flags, byte(t.Status), residual)
	} else {
		c.seal(t, wire.FlagFinal, 0, 0)
		c.respond(t, flags, residual)
	}
	c.release(t)
}

// respond sends a SCSI Response PDU.
func (c *connection) respond(t *command, flags byte, residual uint32) {
	var sense []byte
	var memory [260]byte
	if t.Status == scsi.CheckCondition {
		sense = t.AppendSense(memory[:2])
		n := len(sense) - 2
		sense[0], sense[1] = byte(n>>8), byte(n)
	}
	pdu := c.reserve(len(sense))
	r := wire.SCSIResponse{Flags: flags, Response: wire.ResponseCompleted, Status: byte(t.Status), DataLength: len(sense),
		ITT: t.itt, Seq: c.nextStatus(), ExpDataSN: t.in.dataSN + t.out.r2tSN, Residual: residual}
	r.Put(wire.View(pdu))
	copy(pdu[wire.HeaderLength+c.headerDigest:], sense)
	c.finishPDU(pdu, 0, len(sense))
}

// residual compares what the initiator expected with what the command asked
// for (RFC 7143 11.4.5).
func (t *command) residual() (flags byte, n uint32) {
	asked, moved := uint64(t.InLen), uint64(t.in.sent)
	if t.write || t.OutLen > t.InLen {
		asked = uint64(t.OutLen)
		moved = uint64(t.out.need)
	}
	switch expected := uint64(t.Expected); {
	case t.Status == scsi.Good && asked > expected:
		return wire.FlagOverflow, uint32(asked - expected)
	case moved < expected:
		return wire.FlagUnderflow, uint32(expected - moved)
	}
	return 0, 0
}

// taskTable holds the commands that are outstanding: those that wait for data,
// for a worker, or run on one.
type taskTable struct {
	slots  []*command
	spare  []int // free slots
	turn   uint32
	unused *command // free list
}

// extraTasks is how many immediate commands may be outstanding beyond the
// CmdSN window.
const extraTasks = 16

func (tt *taskTable) init(window int) {
	tt.slots = make([]*command, window+extraTasks)
	tt.spare = make([]int, 0, len(tt.slots))
	for i := range tt.slots {
		tt.spare = append(tt.spare, len(tt.slots)-1-i)
	}
}

// immediates counts the outstanding commands that take no place in the window.
// They leave the other slots to those that do.
func (tt *taskTable) immediates() (n int) {
	for _, t := range tt.slots {
		if t != nil && t.immediate {
			n++
		}
	}
	return n
}

func (tt *taskTable) add(t *command) {
	last := len(tt.spare) - 1
	t.slot = tt.spare[last]
	tt.spare = tt.spare[:last]
	tt.slots[t.slot] = t
	tt.turn++
	t.out.turn = tt.turn
}

func (tt *taskTable) remove(t *command) {
	tt.slots[t.slot] = nil
	tt.spare = append(tt.spare, t.slot)
	t.slot = -1
}

// find returns the outstanding command with an initiator task tag.
func (tt *taskTable) find(itt uint32) *command {
	for _, t := range tt.slots {
		if t != nil && t.itt == itt {
			return t
		}
	}
	return nil
}

// ttt makes a target transfer tag: where the command stands in the table,
// which command of those that stood there it is, and the R2T.
func (t *command) ttt(r2tSN uint32) uint32 {
	return uint32(t.slot)<<20 | (t.out.turn&0xfff)<<8 | r2tSN&0xff
}

// byTTT returns the command that a target transfer tag was made for.
func (tt *taskTable) byTTT(tag uint32) *command {
	slot := int(tag >> 20)
	if slot >= len(tt.slots) {
		return nil
	}
	t := tt.slots[slot]
	if t == nil || t.out.turn&0xfff != tag>>8&0xfff {
		return nil
	}
	return t
}
