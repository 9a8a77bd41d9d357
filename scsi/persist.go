package scsi

import (
	"slices"
	"strings"
)

// reservation is the persistent reservation state of a unit (SPC-5 5.14):
// who is registered with which key, and who holds a reservation of what type.
// It knows nothing of paths and tasks; Unit carries out what its changes mean.
type reservation struct {
	generation uint32
	keys       []registration // in the order of registration
	kind       reservationType
	holder     nexusID // unless kind is noReservation or for all registrants
	aptpl      bool    // persists through power loss
}

// nexusID names an I_T nexus for good, over logins and restarts.
type nexusID struct {
	initiator InitiatorID
	port      uint16 // relative target port identifier
}

// nexusID is the name of the path's I_T nexus. iSCSI names are compared with
// their case folded.
func (p *Path) nexusID() nexusID {
	id := p.Nexus.initiator
	id.Name = strings.ToLower(id.Name)
	return nexusID{id, p.Nexus.port.ID}
}

// registration is a registered I_T nexus.
type registration struct {
	nexus nexusID
	key   uint64
}

// reservationType is a persistent reservation type (SPC-5 table 67).
type reservationType byte

const (
	noReservation         reservationType = 0
	writeExclusive        reservationType = 1
	exclusiveAccess       reservationType = 3
	writeExclusiveRO      reservationType = 5
	exclusiveAccessRO     reservationType = 6
	writeExclusiveAllRegs reservationType = 7
	exclusiveAccessAll    reservationType = 8
)

func (t reservationType) valid() bool {
	switch t {
	case writeExclusive, exclusiveAccess, writeExclusiveRO, exclusiveAccessRO, writeExclusiveAllRegs, exclusiveAccessAll:
		return true
	}
	return false
}

// allRegistrants: everybody who is registered holds the reservation.
func (t reservationType) allRegistrants() bool {
	return t == writeExclusiveAllRegs || t == exclusiveAccessAll
}

// shared: whoever is registered has access.
func (t reservationType) shared() bool { return t >= writeExclusiveRO }

// exclusive: reading needs access too.
func (t reservationType) exclusive() bool {
	return t == exclusiveAccess || t == exclusiveAccessRO || t == exclusiveAccessAll
}

// maxRegistrations bounds the registered I_T nexuses of a unit.
const maxRegistrations = 1024

// inUse says whether anybody is registered; nobody can hold a reservation
// without being so.
func (r *reservation) inUse() bool { return len(r.keys) > 0 }

func (r *reservation) clone() reservation {
	c := *r
	c.keys = slices.Clone(r.keys)
	return c
}

func (r *reservation) find(n nexusID) int {
	return slices.IndexFunc(r.keys, func(k registration) bool { return k.nexus == n })
}

// registered says whether n is registered with key.
func (r *reservation) registered(n nexusID, key uint64) bool {
	i := r.find(n)
	return i >= 0 && r.keys[i].key == key
}

// holds says whether n is a reservation holder.
func (r *reservation) holds(n nexusID) bool {
	switch {
	case r.kind == noReservation:
		return false
	case r.kind.allRegistrants():
		return r.find(n) >= 0
	}
	return r.holder == n
}

// gate is what the reservation makes of the gate of n's path (SPC-5 table 66).
func (r *reservation) gate(n nexusID) uint32 {
	switch {
	case r.kind == noReservation, r.holds(n), r.kind.shared() && r.find(n) >= 0:
		return 0
	case r.kind.exclusive():
		return gateNoRead | gateNoWrite | gateNoOther
	}
	return gateNoWrite | gateNoOther
}

// Service actions of PERSISTENT RESERVE OUT (SPC-5 table 248).
type reserveAction byte

const (
	actionRegister          reserveAction = 0
	actionReserve           reserveAction = 1
	actionRelease           reserveAction = 2
	actionClear             reserveAction = 3
	actionPreempt           reserveAction = 4
	actionPreemptAndAbort   reserveAction = 5
	actionRegisterAndIgnore reserveAction = 6
	actionRegisterAndMove   reserveAction = 7
)

// reserveRequest is a PERSISTENT RESERVE OUT whose parameters were read.
type reserveRequest struct {
	action reserveAction
	kind   reservationType
	key    uint64    // RESERVATION KEY
	newKey uint64    // SERVICE ACTION RESERVATION KEY
	aptpl  bool      // REGISTER...
	also   []nexusID // registered as well: SPEC_I_PT
	ports  []uint16  // registered on these ports as well: ALL_TG_PT
	target nexusID   // REGISTER AND MOVE
	unreg  bool
}

// outcome is what came of a reserveRequest.
type outcome struct {
	conflict bool
	sense    Sense // if its Key is set
	changed  bool
	notices  []notice
	abort    []nexusID // whose tasks are to be aborted
}

// notice is a unit attention for an I_T nexus.
type notice struct {
	nexus nexusID
	code  uint16
}

// apply carries q, sent by n, out on r. If the outcome is a conflict or has a
// sense, r is as it was.
func (r *reservation) apply(n nexusID, q reserveRequest) (o outcome) {
	switch q.action {
	case actionRegister, actionRegisterAndIgnore:
		return r.register(n, q)
	}
	if !r.registered(n, q.key) {
		return outcome{conflict: true}
	}
	switch q.action {
	case actionReserve:
		return r.reserve(n, q)
	case actionRelease:
		return r.release(n, q)
	case actionClear:
		for _, k := range r.keys {
			if k.nexus != n {
				o.notices = append(o.notices, notice{k.nexus, ReservationsPreempted})
			}
		}
		r.keys, r.kind, r.holder = nil, noReservation, nexusID{}
		r.generation++
		o.changed = true
		return o
	case actionPreempt, actionPreemptAndAbort:
		return r.preempt(n, q)
	}
	return r.move(n, q)
}

// register serves REGISTER and REGISTER AND IGNORE EXISTING KEY (SPC-5 5.14.7).
func (r *reservation) register(n nexusID, q reserveRequest) (o outcome) {
	known := r.find(n) >= 0
	if q.action == actionRegister {
		if known && !r.registered(n, q.key) || !known && q.key != 0 {
			return outcome{conflict: true}
		}
		if known && len(q.also) > 0 { // SPEC_I_PT is for those who are new
			return outcome{sense: InvalidField(1)}
		}
	}
	names := append([]nexusID{n}, q.also...)
	for _, p := range q.ports {
		for _, m := range names {
			if m = (nexusID{m.initiator, p}); !slices.Contains(names, m) {
				names = append(names, m)
			}
		}
	}
	if q.newKey == 0 {
		if !known {
			return o
		}
		for _, m := range names {
			if r.find(m) >= 0 {
				r.unregister(m, n, &o)
			}
		}
	} else {
		fresh := 0
		for _, m := range names {
			if r.find(m) < 0 {
				fresh++
			}
		}
		if len(r.keys)+fresh > maxRegistrations {
			return outcome{sense: Sense{Key: IllegalRequest, Code: InsufficientRegistrationRes}}
		}
		for _, m := range names {
			r.put(m, q.newKey)
		}
	}
	r.aptpl = q.aptpl
	r.generation++
	o.changed = true
	return o
}

// put registers n with key, or gives it another key.
func (r *reservation) put(n nexusID, key uint64) {
	if i := r.find(n); i >= 0 {
		r.keys[i].key = key
		return
	}
	r.keys = append(r.keys, registration{n, key})
}

// unregister removes a registration on behalf of by. A reservation goes with
// its holder; one of all registrants with the last of them (SPC-5 5.14.11.2.3).
func (r *reservation) unregister(n, by nexusID, o *outcome) {
	held := r.kind != noReservation && !r.kind.allRegistrants() && r.holder == n
	r.keys = slices.DeleteFunc(r.keys, func(k registration) bool { return k.nexus == n })
	if held || len(r.keys) == 0 {
		r.drop(by, o)
	}
}

// drop ends the reservation, if there is one. If its type gave access to those
// who are registered they are told, but for the one who did it.
func (r *reservation) drop(by nexusID, o *outcome) {
	if r.kind.shared() {
		r.tell(by, ReservationsReleased, o)
	}
	r.kind, r.holder = noReservation, nexusID{}
}

// tell raises an attention for everybody registered but by.
func (r *reservation) tell(by nexusID, code uint16, o *outcome) {
	for _, k := range r.keys {
		if k.nexus != by {
			o.notices = append(o.notices, notice{k.nexus, code})
		}
	}
}

// reserve serves RESERVE (SPC-5 5.14.9).
func (r *reservation) reserve(n nexusID, q reserveRequest) outcome {
	switch {
	case !q.kind.valid():
		return outcome{sense: InvalidField(2)}
	case r.kind == noReservation:
		r.kind, r.holder = q.kind, n
		return outcome{changed: true}
	case r.holds(n) && r.kind == q.kind:
		return outcome{}
	}
	return outcome{conflict: true}
}

// release serves RELEASE (SPC-5 5.14.11.2.2). Who holds nothing releases
// nothing, and that is GOOD.
func (r *reservation) release(n nexusID, q reserveRequest) (o outcome) {
	if !r.holds(n) {
		return o
	}
	if r.kind != q.kind {
		return outcome{sense: Sense{Key: IllegalRequest, Code: InvalidReleaseOfReservation, HasField: true, InCDB: true, Field: 2}}
	}
	r.drop(n, &o)
	o.changed = true
	return o
}

// preempt serves PREEMPT and PREEMPT AND ABORT (SPC-5 5.14.11.2.4 to .6).
func (r *reservation) preempt(n nexusID, q reserveRequest) (o outcome) {
	if q.newKey == 0 && !r.kind.allRegistrants() {
		return outcome{sense: InvalidParameter(8)}
	}
	// takes: the reservation itself is preempted, not only registrations.
	takes := false
	switch {
	case r.kind.allRegistrants():
		takes = q.newKey == 0
	case r.kind != noReservation:
		takes = r.registered(r.holder, q.newKey)
	}
	if takes && !q.kind.valid() {
		return outcome{sense: InvalidField(2)}
	}
	var lost []nexusID
	for _, k := range r.keys {
		switch {
		case takes && q.newKey == 0: // all registrants: everybody else
			if k.nexus != n {
				lost = append(lost, k.nexus)
			}
		case k.key == q.newKey && (!takes || k.nexus != n):
			lost = append(lost, k.nexus)
		}
	}
	if !takes && len(lost) == 0 {
		return outcome{conflict: true} // nobody has this key
	}
	r.keys = slices.DeleteFunc(r.keys, func(k registration) bool { return slices.Contains(lost, k.nexus) })
	for _, l := range lost {
		if l != n {
			o.notices = append(o.notices, notice{l, RegistrationsPreempted})
		}
	}
	if q.action == actionPreemptAndAbort {
		o.abort = lost
	}
	switch {
	case takes:
		if r.kind != q.kind {
			r.tell(n, ReservationsReleased, &o)
		}
		r.kind, r.holder = q.kind, n
	case len(r.keys) == 0:
		r.drop(n, &o)
	}
	r.generation++
	o.changed = true
	return o
}

// move serves REGISTER AND MOVE (SPC-5 5.14.8).
func (r *reservation) move(n nexusID, q reserveRequest) outcome {
	switch {
	case r.kind == noReservation:
		return outcome{sense: InvalidField(1)}
	case !r.holds(n), r.kind.allRegistrants():
		return outcome{conflict: true}
	case q.newKey == 0:
		return outcome{sense: InvalidParameter(8)}
	case q.target == n:
		return outcome{sense: InvalidParameter(24)}
	case r.find(q.target) < 0 && len(r.keys) >= maxRegistrations:
		return outcome{sense: Sense{Key: IllegalRequest, Code: InsufficientRegistrationRes}}
	}
	r.put(q.target, q.newKey)
	r.holder = q.target
	if q.unreg {
		r.keys = slices.DeleteFunc(r.keys, func(k registration) bool { return k.nexus == n })
	}
	r.aptpl = q.aptpl
	r.generation++
	return outcome{changed: true}
}
