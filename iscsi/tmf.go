package iscsi

import (
	"slices"

	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// taskManagement carries out a Task Management Function Request (RFC 7143
// 11.5). What may have to wait for tasks does so on a goroutine of its own;
// meanwhile younger commands are held, so that the function does not hit them.
func (c *connection) taskManagement(h *wire.BHS) {
	if c.session.nexus == nil {
		c.reject(h, wire.RejectProtocolError)
		return
	}
	itt, function := h.ITT(), h.Function()
	switch function {
	case wire.TMFAbortTask:
		c.abortTask(h)
		return
	case wire.TMFTaskReassign:
		c.tmfResponse(itt, wire.TMFReassignNotSupported)
		return
	}
	lun, ok := scsi.ParseLUN(h[8:16])
	if !ok && function < wire.TMFTargetWarmReset {
		c.tmfResponse(itt, wire.TMFNoLUN)
		return
	}
	c.manage(itt, func() byte {
		// The two packages code functions and responses alike.
		response := byte(c.session.nexus.ManageTask(scsi.TMF(function), lun))
		if function == wire.TMFTargetColdReset && response == wire.TMFComplete {
			c.server.dropOthers(c.session, "the target was reset by "+c.session.login.Initiator)
		}
		return response
	})
}

// manage runs a task management function and answers it.
func (c *connection) manage(itt uint32, do func() byte) {
	c.barrier++
	c.managing.Add(1)
	go func() {
		defer c.managing.Done()
		response := do()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.barrier--
		c.ended.Broadcast()
		if c.tx.closed {
			return
		}
		c.tmfResponse(itt, response)
		err := c.deliver()
		c.flush()
		if err != nil {
			c.tx.fail(err)
		}
	}()
}

func (c *connection) tmfResponse(itt uint32, response byte) {
	pdu := c.reserve(0)
	r := wire.TMFResponse{Response: response, ITT: itt, Seq: c.nextStatus()}
	r.Put(wire.View(pdu))
	c.finishPDU(pdu, 0, 0)
}

// abortTask aborts one task of this session (RFC 7143 11.5.1).
func (c *connection) abortTask(h *wire.BHS) {
	t := c.tasks.find(h.RefTag())
	if t == nil {
		c.tmfResponse(h.ITT(), c.abortUnseen(h))
		return
	}
	slot, turn := t.slot, t.out.turn
	c.abort(t)
	c.tx.space.Broadcast()
	gone := func() bool { return c.tasks.slots[slot] != t || t.out.turn != turn || t.state.Load() == dead }
	if gone() {
		c.tmfResponse(h.ITT(), wire.TMFComplete)
		return
	}
	c.manage(h.ITT(), func() byte {
		c.mu.Lock()
		defer c.mu.Unlock()
		for !gone() {
			c.ended.Wait()
		}
		return wire.TMFComplete
	})
}

// abortUnseen answers an ABORT TASK for a task that is not there. If the
// command is still to come, or held, its CmdSN counts as received and it will
// not be carried out.
func (c *connection) abortUnseen(h *wire.BHS) byte {
	ref := h.RefCmdSN()
	ahead := int32(ref - c.expCmdSN)
	if ahead < 0 || ahead >= int32(c.window-c.inflight) || int32(ref-h.CmdSN()) >= 0 {
		return wire.TMFNoTask
	}
	i, found := slices.BinarySearchFunc(c.held, ref, byCmdSN)
	if !found {
		c.held = slices.Insert(c.held, i, heldPDU{cmdSN: ref, itt: wire.NoTag})
		return wire.TMFComplete
	}
	p := &c.held[i]
	if len(p.pdus) == 0 {
		return wire.TMFComplete // it was aborted before
	}
	if p.itt != h.RefTag() || wire.View(p.pdus[0]).Opcode() != wire.OpSCSICommand {
		return wire.TMFNoTask
	}
	for _, pdu := range p.pdus {
		c.heldSize -= len(pdu)
	}
	p.itt, p.pdus = wire.NoTag, nil
	return wire.TMFComplete
}
