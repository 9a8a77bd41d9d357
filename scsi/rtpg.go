package scsi

import (
	"encoding/binary"
	"slices"
)

func (u *Unit) accessCommands() []Command {
	rows := []Command{
		{Name: "REPORT TARGET PORT GROUPS", Op: maintenanceIn, Action: 0x0a, HasAction: true,
			Usage:  []byte{maintenanceIn, 0xea, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04},
			Access: NoReservation | AnyState, Parse: parseRTPG, Do: reportPortGroups},
	}
	if u.access != nil {
		rows = append(rows, Command{Name: "SET TARGET PORT GROUPS", Op: maintenanceOut, Action: 0x0a, HasAction: true,
			Usage:  []byte{maintenanceOut, 0x0a, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0x04},
			Access: AnyState, Parse: parseSetPortGroups, Do: setPortGroups})
	}
	return rows
}

// extendedHeader is PARAMETER DATA FORMAT 001b of REPORT TARGET PORT GROUPS.
const extendedHeader = 0x20

func parseRTPG(t *Task) {
	if f := t.CDB[1] & 0xe0; f != 0 && f != extendedHeader {
		t.Fail(InvalidField(1))
	}
	t.InLen = int(min(binary.BigEndian.Uint32(t.CDB[6:]), maxReply))
}

// supportedStates of a target port group descriptor: T_SUP, O_SUP, U_SUP,
// S_SUP, AN_SUP, AO_SUP (SPC-5 table 229).
const supportedStates = 0x80 | 0x40 | 0x08 | 0x04 | 0x02 | 0x01

// reportPortGroups serves REPORT TARGET PORT GROUPS (SPC-5 6.37).
func reportPortGroups(t *Task) {
	b := make([]byte, 4, 64)
	if t.CDB[1]&0xe0 == extendedHeader {
		b = append(b, 0x10, 0, 0, 0) // format 001b; implicit transitions take no time
	}
	groups, why := t.Path.Unit.portGroups(t.Path)
	for _, g := range groups {
		state := byte(g.State)
		if g.Preferred {
			state |= 0x80
		}
		ports := g.Ports[:min(len(g.Ports), 255)]
		b = append(b, state, supportedStates, byte(g.ID>>8), byte(g.ID), 0, why, 0, byte(len(ports)))
		for _, p := range ports {
			b = append(b, 0, 0, byte(p>>8), byte(p))
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	t.Reply(b, t.InLen)
}

// Status codes of target port group descriptors: what set the state.
const (
	statusNone     byte = 0
	statusExplicit byte = 1
	statusImplicit byte = 2
)

// portGroups lists the target port groups as p's initiator hears of them, and
// what set their states.
func (u *Unit) portGroups(p *Path) ([]PortGroup, byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.groups != nil {
		return u.groups, u.stateSetBy // replaced as a whole, never changed
	}
	ports := append([]uint16{p.Nexus.port.ID}, p.Nexus.port.Peers...)
	for o := range u.paths {
		ports = append(ports, o.Nexus.port.ID)
	}
	slices.Sort(ports)
	return []PortGroup{{ID: defaultGroup, Ports: slices.Compact(ports)}}, statusNone
}

// maxGroupList bounds the parameter list of SET TARGET PORT GROUPS: 4 bytes a group.
const maxGroupList = 4 + 4*256

func parseSetPortGroups(t *Task) {
	n := binary.BigEndian.Uint32(t.CDB[6:])
	if n > maxGroupList || n != 0 && (n < 4 || n%4 != 0) {
		t.Fail(Sense{Key: IllegalRequest, Code: ParameterListLengthError})
		return
	}
	t.OutLen = int(n)
}

// setPortGroups serves SET TARGET PORT GROUPS (SPC-5 6.45). The access setter
// is asked first: what it refuses does not happen.
func setPortGroups(t *Task) {
	if t.OutLen <= 4 {
		return
	}
	if len(t.Out) < t.OutLen {
		t.Fail(Sense{Key: IllegalRequest, Code: ParameterListLengthError})
		return
	}
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	u := t.Path.Unit
	u.mu.Lock()
	next := slices.Clone(u.groups)
	u.mu.Unlock()
	states := map[uint16]AccessState{}
	for at := 4; at < t.OutLen; at += 4 {
		state, id := AccessState(t.Out[at]&0x0f), binary.BigEndian.Uint16(t.Out[at+2:])
		if state > Unavailable { // offline and transitioning cannot be asked for
			t.Fail(InvalidParameter(at))
			return
		}
		i := slices.IndexFunc(next, func(g PortGroup) bool { return g.ID == id })
		if i < 0 {
			t.Fail(InvalidParameter(at + 2))
			return
		}
		next[i].State, states[id] = state, state
	}
	if err := u.access(states); err != nil {
		t.Fail(Sense{Key: HardwareError, Code: SetTargetPortGroupsFailed})
		return
	}
	u.setAccess(next, statusExplicit, t.Path)
}
