package scsi

import "slices"

// Bits of Path.gate.
const (
	gateAttention   uint32 = 1 << iota // a unit attention is pending
	gateNoRead                         // a persistent reservation stops ReadsMedium
	gateNoWrite                        // ... stops WritesMedium
	gateNoOther                        // ... stops what is neither and not NoReservation
	gateReserved6                      // another nexus holds a RESERVE(6)
	gateReadOnly                       // the mapping is read-only, or SWP is set
	gateStandby                        // the target port group is in standby state
	gateUnavailable                    // ... unavailable
	gateOffline                        // ... offline
	gateTransition                     // ... in transition
	gateOrder                          // tasks have to wait for one another (order.go)
	gateGone                           // the LUN was taken from the map

	gateReservation = gateNoRead | gateNoWrite | gateNoOther | gateReserved6
	gateState       = gateStandby | gateUnavailable | gateOffline | gateTransition
)

// setGate makes the bits of mask in the gate what they are in bits.
func (p *Path) setGate(mask, bits uint32) {
	for {
		old := p.gate.Load()
		if p.gate.CompareAndSwap(old, old&^mask|bits&mask) {
			return
		}
	}
}

// pass is the gate's slow way: it says whether t may go on, and ends it if
// not. c is nil if the CDB asks for nothing that the unit knows.
func (p *Path) pass(t *Task, c *Command, gate uint32) bool {
	if gate&gateGone != 0 {
		t.Fail(Sense{Key: IllegalRequest, Code: LogicalUnitNotSupported})
		return false
	}
	if gate&gateAttention != 0 && (c == nil || c.Access&KeepsAttention == 0) {
		if code, ok := p.nextAttention(); ok {
			t.Fail(Sense{Key: UnitAttention, Code: code})
			return false
		}
	}
	if t.Attr == ACA { // SAM-5 8.6.5: there is no ACA condition here, ever
		t.Fail(Sense{Key: IllegalRequest, Code: InvalidMessageError})
		return false
	}
	if c == nil {
		return true
	}
	if gate&gateReservation != 0 && conflicts(c.Access, gate) {
		t.Status = ReservationConflict
		return false
	}
	if gate&gateState != 0 {
		if code := notReady(c.Access, gate); code != 0 {
			t.Fail(Sense{Key: NotReady, Code: code})
			return false
		}
	}
	if gate&gateReadOnly != 0 && c.Access&WritesMedium != 0 {
		t.Fail(Sense{Key: DataProtect, Code: WriteProtected})
		return false
	}
	if gate&gateOrder != 0 || t.Attr > Simple {
		p.line.join(p, t)
	}
	return true
}

// conflicts says whether a reservation stops a command (SPC-5 table 66,
// SPC-2 table 10).
func conflicts(a Access, gate uint32) bool {
	if gate&gateReserved6 != 0 && (a&NoReservation == 0 || a&notReserved6 != 0) {
		return true
	}
	switch {
	case a&NoReservation != 0:
		return false
	case a&WritesMedium != 0:
		return gate&gateNoWrite != 0
	case a&ReadsMedium != 0:
		return gate&gateNoRead != 0
	}
	return gate&gateNoOther != 0
}

// notReady is why the access state stops a command; 0 if it does not
// (SPC-5 5.17.2.4). In transition only the commands that every state serves
// are served, so that an initiator can find out what is going on.
func notReady(a Access, gate uint32) uint16 {
	switch {
	case a&AnyState != 0:
		return 0
	case gate&gateStandby != 0:
		if a&InStandby != 0 {
			return 0
		}
		return LUNotReadyTargetPortStandby
	case gate&gateUnavailable != 0:
		return LUNotReadyTargetPortUnavail
	case gate&gateOffline != 0:
		return LUNotReadyOffline
	}
	return LUNotReadyAsymmetricTransit
}

// maxAttentions bounds a path's pending unit attentions. There are not that
// many different ones.
const maxAttentions = 32

// attention makes a unit attention condition pending (SAM-5 5.14). One that
// is pending already is not raised twice. Those of a reset are reported first,
// and only the weightiest of them: it says all that the others would.
func (p *Path) attention(code uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.attentions, code) {
		return
	}
	switch {
	case code>>8 == PowerOnOrReset>>8:
		if len(p.attentions) > 0 && p.attentions[0]>>8 == code>>8 {
			// 29/00, /02, /03, /04, /07: the lower the qualifier, the more was reset.
			p.attentions[0] = min(p.attentions[0], code)
		} else {
			p.attentions = slices.Insert(p.attentions, 0, code)
		}
	case len(p.attentions) < maxAttentions:
		p.attentions = append(p.attentions, code)
	}
	p.setGate(gateAttention, gateAttention)
}

// nextAttention takes the next pending unit attention.
func (p *Path) nextAttention() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.attentions) == 0 {
		return 0, false
	}
	code := p.attentions[0]
	p.attentions = slices.Delete(p.attentions, 0, 1)
	if len(p.attentions) == 0 {
		p.setGate(gateAttention, 0)
	}
	return code, true
}

// clearAttention forgets a pending unit attention.
func (p *Path) clearAttention(code uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attentions = slices.DeleteFunc(p.attentions, func(c uint16) bool { return c == code })
	if len(p.attentions) == 0 {
		p.setGate(gateAttention, 0)
	}
}
