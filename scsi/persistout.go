package scsi

import (
	"encoding/binary"
	"slices"
)

// Bits of the parameter list (SPC-5 6.17.3, 6.17.4).
const (
	listSpecIPT = 0x08 // byte 20
	listAllTgPt = 0x04
	listAPTPL   = 0x01
	moveUnreg   = 0x02 // byte 17

	reserveListSize = 24
	maxReserveList  = 64 << 10
)

// parsePersistentOut checks the CDB of PERSISTENT RESERVE OUT (SPC-5 6.17).
func parsePersistentOut(t *Task) {
	n := binary.BigEndian.Uint32(t.CDB[5:])
	switch action := reserveAction(t.CDB[1] & 0x1f); {
	case n < reserveListSize || n > maxReserveList:
		t.Fail(Sense{Key: IllegalRequest, Code: ParameterListLengthError})
		return
	case action == actionReserve, action == actionRelease, action == actionPreempt, action == actionPreemptAndAbort:
		if t.CDB[2]>>4 != 0 { // only LU_SCOPE is left
			t.Fail(InvalidField(2))
			return
		}
	}
	t.OutLen = int(n)
}

// persistentReserveOut serves PERSISTENT RESERVE OUT. The new state is made
// beside the old one, saved if it is to survive a power loss, and only then
// holds: GOOD means that it is stable.
func persistentReserveOut(t *Task) {
	if !t.MayBlock {
		t.WouldBlock = true
		return
	}
	u := t.Path.Unit
	u.reserving.Lock()
	o := u.persistentReserveOut(t)
	u.reserving.Unlock()
	if o.abort == nil {
		return
	}
	// The new state holds and the locks are free: from here on t only waits
	// for the tasks of others, who may be waiting for t (two nexuses that
	// preempt each other). Nobody needs to.
	t.detached.Store(true)
	for _, p := range u.snapshot() {
		if !slices.Contains(o.abort, p.nexusID()) {
			continue
		}
		if p == t.Path {
			p.abortTasks(t)
			continue
		}
		if p.inflight.Load() > 0 { // SAM-5 5.14, TAS is 0
			p.attention(CommandsClearedByAnother)
		}
		p.abortTasks(nil)
	}
}

func (u *Unit) persistentReserveOut(t *Task) outcome {
	q, why := u.reserveRequest(t)
	if why.Key != NoSense {
		t.Fail(why)
		return outcome{}
	}
	u.mu.Lock()
	old := u.pr.clone()
	u.mu.Unlock()
	next := old.clone()
	o := next.apply(t.Path.nexusID(), q)
	switch {
	case o.conflict:
		t.Status = ReservationConflict
		return outcome{}
	case o.sense.Key != NoSense:
		t.Fail(o.sense)
		return outcome{}
	case !o.changed:
		return outcome{}
	}
	if err := u.saveReservation(&old, &next); err != nil {
		t.Fail(Sense{Key: HardwareError, Code: InternalTargetFailure})
		return outcome{}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pr = next
	u.regateAll()
	for p := range u.paths {
		id := p.nexusID()
		for _, n := range o.notices {
			if n.nexus == id {
				p.attention(n.code)
			}
		}
	}
	return o
}

// reserveRequest reads the parameter list of t.
func (u *Unit) reserveRequest(t *Task) (q reserveRequest, why Sense) {
	list := t.Out
	if len(list) < t.OutLen {
		return q, Sense{Key: IllegalRequest, Code: ParameterListLengthError}
	}
	q = reserveRequest{
		action: reserveAction(t.CDB[1] & 0x1f),
		kind:   reservationType(t.CDB[2] & 0x0f),
		key:    binary.BigEndian.Uint64(list),
		newKey: binary.BigEndian.Uint64(list[8:]),
	}
	if q.action == actionRegisterAndMove {
		return u.moveRequest(q, list)
	}
	flags := list[20]
	registers := q.action == actionRegister || q.action == actionRegisterAndIgnore
	switch {
	case flags&listSpecIPT != 0 && q.action != actionRegister:
		return q, Sense{Key: IllegalRequest, Code: InvalidFieldInParameterList, HasField: true, Field: 20, HasBit: true, Bit: 3}
	case flags&listSpecIPT == 0 && len(list) != reserveListSize:
		return q, Sense{Key: IllegalRequest, Code: ParameterListLengthError}
	case !registers:
		return q, Sense{}
	case flags&listAPTPL != 0 && u.store == nil:
		return q, Sense{Key: IllegalRequest, Code: InvalidFieldInParameterList, HasField: true, Field: 20, HasBit: true}
	}
	q.aptpl = flags&listAPTPL != 0
	if flags&listAllTgPt != 0 {
		q.ports = t.Path.Nexus.port.Peers
	}
	if flags&listSpecIPT != 0 {
		return u.specifiedPorts(q, list, t.Path.Nexus.port.ID)
	}
	return q, Sense{}
}

// specifiedPorts reads the TransportIDs of SPEC_I_PT: initiator ports that are
// registered as well, on the target port that the command came through.
func (u *Unit) specifiedPorts(q reserveRequest, list []byte, port uint16) (reserveRequest, Sense) {
	const at = reserveListSize + 4
	if len(list) < at || uint64(binary.BigEndian.Uint32(list[reserveListSize:])) != uint64(len(list)-at) {
		return q, Sense{Key: IllegalRequest, Code: ParameterListLengthError}
	}
	for rest := list[at:]; len(rest) > 0; {
		id, anyPort, size, ok := parseTransportID(rest)
		if !ok {
			return q, InvalidParameter(len(list) - len(rest))
		}
		names := []nexusID{{id, port}}
		if anyPort {
			names = u.loggedIn(id.Name, port)
		}
		if len(names) == 0 { // there is no port to register
			return q, InvalidParameter(len(list) - len(rest))
		}
		q.also = append(q.also, names...)
		if len(q.also) > maxRegistrations {
			return q, Sense{Key: IllegalRequest, Code: InsufficientRegistrationRes}
		}
		rest = rest[size:]
	}
	return q, Sense{}
}

// loggedIn lists the nexuses of an initiator's ports that are logged in
// through a target port.
func (u *Unit) loggedIn(name string, port uint16) (names []nexusID) {
	for _, p := range u.snapshot() {
		if id := p.nexusID(); id.initiator.Name == name && id.port == port && !slices.Contains(names, id) {
			names = append(names, id)
		}
	}
	return names
}

// moveRequest reads the parameter list of REGISTER AND MOVE.
func (u *Unit) moveRequest(q reserveRequest, list []byte) (reserveRequest, Sense) {
	q.unreg = list[17]&moveUnreg != 0
	q.aptpl = list[17]&listAPTPL != 0
	if q.aptpl && u.store == nil {
		return q, InvalidParameter(17)
	}
	if uint64(binary.BigEndian.Uint32(list[20:])) != uint64(len(list)-reserveListSize) {
		return q, Sense{Key: IllegalRequest, Code: ParameterListLengthError}
	}
	id, anyPort, size, ok := parseTransportID(list[reserveListSize:])
	if !ok || anyPort || reserveListSize+size != len(list) {
		return q, InvalidParameter(reserveListSize)
	}
	q.target = nexusID{id, binary.BigEndian.Uint16(list[18:])}
	return q, Sense{}
}
