package scsi

import (
	"encoding/binary"
	"slices"
)

// variableLength is the operation code of variable length CDBs (SPC-5 4.2.3).
const variableLength = 0x7f

// entry is what an operation code leads to: one command, or one per service action.
type entry struct {
	command *Command
	actions map[uint16]*Command
}

// serve adds a row to the unit's table. A row of the device comes after
// those of all types and replaces one for the same command.
func (u *Unit) serve(c Command) {
	e := u.ops[c.Op]
	if e == nil {
		e = &entry{}
		u.ops[c.Op] = e
	}
	if !c.HasAction {
		e.command = &c
		return
	}
	if e.actions == nil {
		e.actions = map[uint16]*Command{}
	}
	e.actions[c.Action] = &c
}

// rows lists the unit's commands by operation code and service action.
func (u *Unit) rows() []*Command {
	var rows []*Command
	for _, e := range u.ops {
		if e == nil {
			continue
		}
		if e.command != nil {
			rows = append(rows, e.command)
		}
		first := len(rows)
		for _, c := range e.actions {
			rows = append(rows, c)
		}
		slices.SortFunc(rows[first:], func(a, b *Command) int { return int(a.Action) - int(b.Action) })
	}
	return rows
}

// find returns the command that a CDB asks for, or why there is none.
func (u *Unit) find(cdb []byte) (*Command, Sense) {
	if len(cdb) < 6 {
		return nil, Sense{Key: IllegalRequest, Code: InvalidCommandOperationCode}
	}
	e := u.ops[cdb[0]]
	if e == nil {
		return nil, Sense{Key: IllegalRequest, Code: InvalidCommandOperationCode, HasField: true, InCDB: true}
	}
	c := e.command
	if c == nil {
		action, at := uint16(cdb[1]&0x1f), 1
		if cdb[0] == variableLength {
			at = 8
			if len(cdb) < 10 {
				return nil, InvalidField(7)
			}
			action = binary.BigEndian.Uint16(cdb[8:])
		}
		if c = e.actions[action]; c == nil {
			return nil, InvalidField(at)
		}
	}
	if len(cdb) < len(c.Usage) {
		return nil, InvalidField(0)
	}
	return c, Sense{}
}

// naca is the offset of the CONTROL byte and says whether its NACA bit is set
// (SAM-5 5.2). We have no ACA (NORMACA is 0), so a CDB that asks for it is
// refused.
func (c *Command) naca(cdb []byte) (int, bool) {
	at := len(c.Usage) - 1
	if c.Op == variableLength {
		at = 1
	}
	return at, at >= 0 && cdb[at]&0x04 != 0
}

// Admit finds t's path and command, asks the path's gate and checks the CDB.
// If it returns false the task has ended: t.Status and t.Sense say how. If it
// returns true the transport gathers t.Out, if there is any, and calls
// Execute; if the task is to end without that, it calls Drop.
//
// Tasks are admitted in the order of their arrival.
func (n *Nexus) Admit(t *Task) bool {
	t.nexus = n
	p := n.luns.Load().path(t.LUN)
	if p == nil {
		return n.admitNowhere(t)
	}
	t.Path = p
	p.inflight.Add(1) // before the gate is read: see order.go
	c, why := p.Unit.find(t.CDB)
	if gate := p.gate.Load(); gate != 0 || t.Attr > Simple {
		if !p.pass(t, c, gate) {
			p.leave(t)
			return false
		}
	}
	if c == nil {
		t.Fail(why)
		p.leave(t)
		return false
	}
	if at, set := c.naca(t.CDB); set {
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true,
			Field: uint16(at), HasBit: true, Bit: 2})
		p.leave(t)
		return false
	}
	t.Command = c
	if c.Parse != nil {
		if c.Parse(t); t.Status != Good {
			p.leave(t)
			return false
		}
	}
	return true
}

// Execute carries an admitted task out. If it returns true the task has ended:
// t.Status says how. If it returns false and t.WouldBlock is set, the
// transport calls it again with t.MayBlock from a goroutine that may wait.
// If it returns false without WouldBlock, the task has to wait for others
// (it is ORDERED, or came after one that is): Transport.Resume gives it back.
func (n *Nexus) Execute(t *Task) bool {
	p := t.Path
	if t.lined && !p.line.enter(t) {
		return false
	}
	t.WouldBlock = false
	t.Command.Do(t)
	return n.ended(t)
}

// Finish goes on with a task whose Offload has been carried out, or has not
// (moved is false). It returns what Execute does. The transport sends the data
// of a read that was moved.
func (n *Nexus) Finish(t *Task, moved bool) bool {
	t.WouldBlock, t.Offload = false, Offload{}
	t.Command.Finish(t, moved)
	return n.ended(t)
}

func (n *Nexus) ended(t *Task) bool {
	if t.WouldBlock {
		return false
	}
	if t.Path != nil {
		t.Path.leave(t)
	}
	return true
}

// Drop forgets an admitted task that will not be executed, or not again: it
// was aborted while it waited for data, for others, or for a goroutine.
func (n *Nexus) Drop(t *Task) {
	if t.Path != nil {
		t.Path.leave(t)
	}
}

// leave ends t's stay among the path's tasks.
func (p *Path) leave(t *Task) {
	p.inflight.Add(-1)
	if p.gate.Load()&gateOrder != 0 {
		p.line.leave(p, t)
	}
}
