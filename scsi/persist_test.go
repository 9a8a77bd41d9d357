package scsi

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// prout sends PERSISTENT RESERVE OUT with a basic parameter list.
func (h *host) prout(action reserveAction, kind reservationType, key, newKey uint64, flags byte) string {
	h.t.Helper()
	list := make([]byte, 24)
	binary.BigEndian.PutUint64(list, key)
	binary.BigEndian.PutUint64(list[8:], newKey)
	list[20] = flags
	return h.proutList(action, kind, list)
}

func (h *host) proutList(action reserveAction, kind reservationType, list []byte) string {
	h.t.Helper()
	task, _ := h.run(0, fmt.Sprintf("5f %02x %02x 00 00 %08x 00", action, kind, len(list)), list...)
	return ending(task)
}

func (h *host) mustPR(want string, action reserveAction, kind reservationType, key, newKey uint64) {
	h.t.Helper()
	if got := h.prout(action, kind, key, newKey, 0); got != want {
		h.t.Fatalf("PERSISTENT RESERVE OUT %d type %d: %s, want %s", action, kind, got, want)
	}
}

// attentionsOf takes the pending unit attentions of LUN 0.
func (h *host) attentionsOf() []uint16 {
	var all []uint16
	for {
		code, ok := h.Paths()[0].nextAttention()
		if !ok {
			return all
		}
		all = append(all, code)
	}
}

func (h *host) heard(codes ...uint16) {
	h.t.Helper()
	if got := h.attentionsOf(); fmt.Sprintf("%04x", got) != fmt.Sprintf("%04x", codes) {
		h.t.Errorf("%s heard %04x, want %04x", h.Initiator().Name, got, codes)
	}
}

// trio is a unit with three initiators, a and b registered with keys 0a and 0b.
func trio(t *testing.T) (u *Unit, a, b, c *host) {
	u = NewUnit(testIdentity, &fakeDevice{})
	a = newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
	b = newHost(t, "iqn.2026-01.org.example:b", 2, 2, u).calm()
	c = newHost(t, "iqn.2026-01.org.example:c", 3, 1, u).calm()
	a.mustPR("good", actionRegister, 0, 0, 0x0a)
	b.mustPR("good", actionRegister, 0, 0, 0x0b)
	return u, a, b, c
}

const (
	tur        = "00 00 00 00 00 00"
	read10     = "28 00 00 00 00 00 00 00 01 00"
	write10    = "2a 00 00 00 00 00 00 00 01 00"
	senseModes = "1a 00 3f 00 ff 00"
	readKeys   = "5e 00 00 00 00 00 00 01 00 00"
	readRes    = "5e 01 00 00 00 00 00 01 00 00"
	fullState  = "5e 03 00 00 00 00 00 04 00 00"
)

// The access table: SPC-5 table 66 and SBC-4 table 13. What b, registered, and
// c, not registered, may do while a holds a reservation.
func TestReservationAccess(t *testing.T) {
	for _, c := range []struct {
		kind                         reservationType
		bRead, bWrite, cRead, cWrite string
		bOther, cOther               string // MODE SENSE
	}{
		{kind: writeExclusive, bRead: "good", bWrite: "conflict", cRead: "good", cWrite: "conflict", bOther: "conflict", cOther: "conflict"},
		{kind: exclusiveAccess, bRead: "conflict", bWrite: "conflict", cRead: "conflict", cWrite: "conflict", bOther: "conflict", cOther: "conflict"},
		{kind: writeExclusiveRO, bRead: "good", bWrite: "good", cRead: "good", cWrite: "conflict", bOther: "good", cOther: "conflict"},
		{kind: exclusiveAccessRO, bRead: "good", bWrite: "good", cRead: "conflict", cWrite: "conflict", bOther: "good", cOther: "conflict"},
		{kind: writeExclusiveAllRegs, bRead: "good", bWrite: "good", cRead: "good", cWrite: "conflict", bOther: "good", cOther: "conflict"},
		{kind: exclusiveAccessAll, bRead: "good", bWrite: "good", cRead: "conflict", cWrite: "conflict", bOther: "good", cOther: "conflict"},
	} {
		t.Run(fmt.Sprint(c.kind), func(t *testing.T) {
			_, a, b, x := trio(t)
			a.mustPR("good", actionReserve, c.kind, 0x0a, 0)
			a.mustPR("good", actionReserve, c.kind, 0x0a, 0) // again: nothing happens
			b.want(c.bRead, read10)
			b.want(c.bWrite, write10)
			b.want(c.bOther, senseModes)
			x.want(c.cRead, read10)
			x.want(c.cWrite, write10)
			x.want(c.cOther, senseModes)
			a.want("good", read10)
			a.want("good", write10)
			for _, always := range []string{tur, readKeys, "12 00 00 00 60 00", "a0 00 00 00 00 00 00 00 10 00 00 00", "03 00 00 00 12 00",
				"4d 00 00 00 00 00 00 00 ff 00", "a3 0a 00 00 00 00 00 00 10 00 00 00"} {
				x.want("good", always)
			}
			x.want("conflict", "16 00 00 00 00 00") // RESERVE(6): there are registrations
			late := newHost(t, "iqn.2026-01.org.example:late", 9, 1, a.Paths()[0].Unit).calm()
			late.want(c.cWrite, write10) // who comes later is kept out as well
			late.want(c.cRead, read10)
		})
	}
}

func TestRegister(t *testing.T) {
	_, a, b, c := trio(t)
	a.mustPR("conflict", actionRegister, 0, 0x99, 1)   // not its key
	c.mustPR("conflict", actionRegister, 0, 0x99, 1)   // it has none
	c.mustPR("good", actionRegister, 0, 0, 0)          // nothing to do
	c.mustPR("conflict", actionReserve, 1, 0, 0)       // not registered
	b.mustPR("conflict", actionReserve, 1, 0x99, 0)    // wrong key
	b.mustPR("5/2400", actionReserve, 2, 0x0b, 0)      // obsolete type
	b.mustPR("good", actionRegisterAndIgnore, 0, 0, 7) // another key
	b.mustPR("good", actionRegister, 0, 7, 0x0b)
	if in := b.want("good", readKeys); binary.BigEndian.Uint32(in) != 4 || len(in) != 8+16 {
		t.Errorf("READ KEYS: %x", in)
	}
	if in := b.want("good", "5e 00 00 00 00 00 00 00 08 00"); len(in) != 8 || in[7] != 16 {
		t.Errorf("READ KEYS cut to 8 bytes: %x", in) // the length stays
	}
	for action := 4; action < 0x20; action++ {
		b.want("5/2400", fmt.Sprintf("5e %02x 00 00 00 00 00 01 00 00", action))
	}
	if got := b.proutList(actionRegister, 0, make([]byte, 20)); got != "5/1a00" {
		t.Errorf("short list: %s", got)
	}
	if got := b.proutList(actionRegister, 0, make([]byte, 28)); got != "5/1a00" {
		t.Errorf("long list: %s", got)
	}
	if got := b.prout(actionRegister, 0, 0x0b, 0x0b, 1); got != "5/2600" {
		t.Errorf("APTPL without a store: %s", got)
	}
	b.want("5/2400", "5f 01 11 00 00 00 00 00 18 00", make([]byte, 24)...) // scope
}

func TestUnregisterReleases(t *testing.T) {
	for _, c := range []struct {
		kind reservationType
		left reservationType
		told []uint16
	}{
		{writeExclusive, noReservation, nil},
		{exclusiveAccess, noReservation, nil},
		{writeExclusiveRO, noReservation, []uint16{ReservationsReleased}},
		{exclusiveAccessRO, noReservation, []uint16{ReservationsReleased}},
		{writeExclusiveAllRegs, writeExclusiveAllRegs, nil},
		{exclusiveAccessAll, exclusiveAccessAll, nil},
	} {
		u, a, b, x := trio(t)
		a.mustPR("good", actionReserve, c.kind, 0x0a, 0)
		a.mustPR("good", actionRegister, 0, 0x0a, 0)
		if u.pr.kind != c.left {
			t.Errorf("type %d: left %d, want %d", c.kind, u.pr.kind, c.left)
		}
		b.heard(c.told...)
		a.heard()
		x.heard()
		b.mustPR("good", actionRegister, 0, 0x0b, 0)
		if u.pr.kind != noReservation {
			t.Errorf("type %d outlives its last registration", c.kind)
		}
	}
}

func TestRelease(t *testing.T) {
	u, a, b, _ := trio(t)
	a.mustPR("good", actionReserve, writeExclusiveRO, 0x0a, 0)
	b.mustPR("good", actionRelease, writeExclusiveRO, 0x0b, 0) // not the holder: nothing
	a.mustPR("5/2604", actionRelease, exclusiveAccess, 0x0a, 0)
	a.mustPR("conflict", actionRelease, writeExclusiveRO, 0x0b, 0)
	b.mustPR("conflict", actionReserve, writeExclusiveRO, 0x0b, 0)
	a.mustPR("conflict", actionReserve, writeExclusive, 0x0a, 0) // another type
	a.mustPR("good", actionRelease, writeExclusiveRO, 0x0a, 0)
	b.heard(ReservationsReleased)
	a.mustPR("good", actionRelease, writeExclusiveRO, 0x0a, 0) // there is none
	a.mustPR("good", actionReserve, writeExclusive, 0x0a, 0)
	a.mustPR("good", actionRelease, writeExclusive, 0x0a, 0)
	b.heard() // this type tells nobody
	if u.pr.generation != 2 {
		t.Errorf("generation %d, want 2: RESERVE and RELEASE do not count", u.pr.generation)
	}
	a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
	b.mustPR("good", actionClear, 0, 0x0b, 0)
	a.heard(ReservationsPreempted)
	b.heard()
	if u.pr.inUse() || u.pr.kind != noReservation || u.pr.generation != 3 {
		t.Errorf("after CLEAR: %+v", u.pr)
	}
}

func TestPreempt(t *testing.T) {
	t.Run("reservation", func(t *testing.T) {
		u, a, b, c := trio(t)
		a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
		c.mustPR("conflict", actionPreempt, exclusiveAccess, 0, 0x0a)
		b.mustPR("conflict", actionPreempt, exclusiveAccess, 0x0b, 0x77) // nobody's key
		b.mustPR("5/2600", actionPreempt, exclusiveAccess, 0x0b, 0)
		b.mustPR("5/2400", actionPreempt, 0x0f, 0x0b, 0x0a)
		b.mustPR("good", actionPreempt, exclusiveAccess, 0x0b, 0x0a)
		a.heard(RegistrationsPreempted)
		b.heard()
		a.want("conflict", read10)
		b.want("good", write10)
		if len(u.pr.keys) != 1 || u.pr.generation != 3 {
			t.Errorf("%+v", u.pr)
		}
		if len(a.tr.aborted) != 0 {
			t.Error("PREEMPT aborted tasks")
		}
	})
	t.Run("reservation with another type", func(t *testing.T) {
		_, a, b, c := trio(t)
		c.mustPR("good", actionRegister, 0, 0, 0x0c)
		a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
		b.mustPR("good", actionPreempt, writeExclusive, 0x0b, 0x0a)
		a.heard(RegistrationsPreempted)
		c.heard(ReservationsReleased)
		b.heard()
	})
	t.Run("own", func(t *testing.T) { // the holder changes the type
		u, a, b, _ := trio(t)
		a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
		a.mustPR("good", actionPreempt, writeExclusive, 0x0a, 0x0a)
		b.heard(ReservationsReleased)
		if u.pr.kind != writeExclusive || len(u.pr.keys) != 2 {
			t.Errorf("%+v", u.pr)
		}
	})
	t.Run("registration", func(t *testing.T) {
		u, a, b, c := trio(t)
		c.mustPR("good", actionRegister, 0, 0, 0x0c)
		a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
		b.mustPR("good", actionPreempt, exclusiveAccess, 0x0b, 0x0c)
		c.heard(RegistrationsPreempted)
		a.heard()
		if u.pr.holder.initiator.Name != "iqn.2026-01.org.example:a" || len(u.pr.keys) != 2 {
			t.Errorf("%+v", u.pr)
		}
	})
	t.Run("no reservation", func(t *testing.T) {
		u, a, b, _ := trio(t)
		b.mustPR("good", actionPreempt, exclusiveAccess, 0x0b, 0x0a)
		a.heard(RegistrationsPreempted)
		if u.pr.kind != noReservation || len(u.pr.keys) != 1 {
			t.Errorf("%+v", u.pr)
		}
	})
	t.Run("all registrants", func(t *testing.T) {
		u, a, b, c := trio(t)
		c.mustPR("good", actionRegister, 0, 0, 0x0c)
		a.mustPR("good", actionReserve, writeExclusiveAllRegs, 0x0a, 0)
		b.mustPR("good", actionPreempt, exclusiveAccess, 0x0b, 0x0c) // a registration only
		c.heard(RegistrationsPreempted)
		b.mustPR("good", actionPreempt, exclusiveAccess, 0x0b, 0) // all of it
		a.heard(RegistrationsPreempted)
		if u.pr.kind != exclusiveAccess || len(u.pr.keys) != 1 || u.pr.generation != 5 {
			t.Errorf("%+v", u.pr)
		}
	})
	t.Run("and abort", func(t *testing.T) {
		_, a, b, c := trio(t)
		a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
		a.Paths()[0].inflight.Add(1)
		b.mustPR("good", actionPreemptAndAbort, exclusiveAccess, 0x0b, 0x0a)
		a.heard(RegistrationsPreempted, CommandsClearedByAnother)
		if len(a.tr.aborted) != 1 || len(b.tr.aborted)+len(c.tr.aborted) != 0 {
			t.Errorf("aborted %v %v %v", a.tr.aborted, b.tr.aborted, c.tr.aborted)
		}
	})
}

// While PREEMPT AND ABORT waits for the tasks of others nobody waits for it:
// it is Detached, and its locks are free. Its own it does not abort.
func TestPreemptAndAbortDetaches(t *testing.T) {
	u, a, b, _ := trio(t)
	a.mustPR("good", actionRegister, 0, 0x0a, 0x0b) // both have key 0b
	list := make([]byte, 24)
	list[7], list[15] = 0x0b, 0x0b
	task := &Task{CDB: []byte{opPersistentOut, byte(actionPreemptAndAbort), 1, 0, 0, 0, 0, 0, 24, 0},
		Attr: Simple, Transfer: &inBuffer{}, MayBlock: true, Out: list}
	var asked []*Task
	look := func(except *Task) {
		asked = append(asked, except)
		if !task.Detached() || !u.reserving.TryLock() {
			t.Error("it can hold up others while it waits for them")
			return
		}
		u.reserving.Unlock()
	}
	a.tr.onAbort, b.tr.onAbort = look, look
	if !b.Admit(task) || !b.Execute(task) || task.Status != Good {
		t.Fatal(ending(task))
	}
	if len(asked) != 2 || (asked[0] == task) == (asked[1] == task) {
		t.Errorf("spared %v", asked)
	}
	a.heard(RegistrationsPreempted)
	b.heard()
	if u.pr.inUse() {
		t.Errorf("%+v", u.pr)
	}
}

func TestRegisterAndMove(t *testing.T) {
	u, a, b, c := trio(t)
	list := func(key, newKey uint64, flags byte, port uint16, to InitiatorID) []byte {
		l := make([]byte, 24)
		binary.BigEndian.PutUint64(l, key)
		binary.BigEndian.PutUint64(l[8:], newKey)
		l[17] = flags
		binary.BigEndian.PutUint16(l[18:], port)
		l = appendTransportID(l, to)
		binary.BigEndian.PutUint32(l[20:], uint32(len(l)-24))
		return l
	}
	move := func(h *host, want string, l []byte) {
		t.Helper()
		if got := h.proutList(actionRegisterAndMove, 0, l); got != want {
			t.Fatalf("REGISTER AND MOVE: %s, want %s", got, want)
		}
	}
	to := c.Initiator()
	move(a, "5/2400", list(0x0a, 0x0c, 0, 1, to)) // nothing is reserved
	a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
	move(b, "conflict", list(0x0b, 0x0c, 0, 1, to)) // not the holder
	move(a, "5/2600", list(0x0a, 0, 0, 1, to))
	move(a, "5/2600", list(0x0a, 0x0c, 0, 1, a.Initiator())) // to itself
	move(a, "5/1a00", append(list(0x0a, 0x0c, 0, 1, to), 0, 0, 0, 0))
	move(a, "5/2600", list(0x0a, 0x0c, 1, 1, to)) // APTPL without a store
	move(a, "good", list(0x0a, 0x0c, moveUnreg, 1, to))
	if len(u.pr.keys) != 2 || !u.pr.holds(c.Paths()[0].nexusID()) || u.pr.generation != 3 {
		t.Errorf("%+v", u.pr)
	}
	c.want("good", write10)
	a.want("conflict", read10)
}

func TestSpecifiedPorts(t *testing.T) {
	u, a, _, c := trio(t)
	far := InitiatorID{Name: "iqn.2026-01.org.example:FAR", ISID: [6]byte{1, 2, 3, 4, 5, 6}}
	ids := appendTransportID(nil, far)
	ids = append(ids, 0x05, 0, 0, 28) // name only: every port of c
	ids = append(ids, "iqn.2026-01.org.example:c\x00\x00\x00"...)
	list := make([]byte, 28)
	list[15], list[20] = 0x0d, listSpecIPT
	binary.BigEndian.PutUint32(list[24:], uint32(len(ids)))
	list = slices.Concat(list, ids)
	if got := a.proutList(actionRegister, 0, append(make([]byte, 7), append([]byte{0x0a}, list[8:]...)...)); got != "5/2400" {
		t.Errorf("SPEC_I_PT of a registered nexus: %s", got)
	}
	if got := a.proutList(actionRegisterAndIgnore, 0, list); got != "5/2600" {
		t.Errorf("SPEC_I_PT with REGISTER AND IGNORE: %s", got)
	}
	d := newHost(t, "iqn.2026-01.org.example:d", 4, 1, u).calm()
	if got := d.proutList(actionRegister, 0, list); got != "good" {
		t.Fatalf("SPEC_I_PT: %s", got)
	}
	if len(u.pr.keys) != 5 || u.pr.find(c.Paths()[0].nexusID()) < 0 {
		t.Errorf("%+v", u.pr.keys)
	}
	golden(t, "prin-fullstatus", c.want("good", fullState))
	golden(t, "prin-keys", c.want("good", readKeys))
	a.mustPR("good", actionReserve, writeExclusiveRO, 0x0a, 0)
	golden(t, "prin-reservation", c.want("good", readRes))
	golden(t, "prin-capabilities", c.want("good", "5e 02 00 00 00 00 00 01 00 00"))
}

func TestAllTargetPorts(t *testing.T) {
	u, _, _, c := trio(t)
	if got := c.prout(actionRegister, 0, 0, 0x0c, listAllTgPt); got != "good" {
		t.Fatal(got)
	}
	other := newHost(t, c.Initiator().Name, 3, 2, u).calm() // the same initiator port through port 2
	other.mustPR("good", actionReserve, exclusiveAccess, 0x0c, 0)
	c.want("conflict", read10) // another I_T nexus, not the holder
	other.mustPR("good", actionRegister, 0, 0x0c, 0)
	if u.pr.find(c.Paths()[0].nexusID()) < 0 {
		t.Error("unregistering on one port did so on both")
	}
}

// memoryStore is a ReservationStore that can fail.
type memoryStore struct {
	state map[string][]byte
	err   error
	saves int
}

func (m *memoryStore) Load(unit string) ([]byte, error) { return m.state[unit], m.err }
func (m *memoryStore) Save(unit string, state []byte) error {
	if m.err != nil {
		return m.err
	}
	m.saves++
	if state == nil {
		delete(m.state, unit)
	} else {
		m.state[unit] = state
	}
	return nil
}

func TestAPTPL(t *testing.T) {
	for name, store := range map[string]ReservationStore{
		"memory": &memoryStore{state: map[string][]byte{}},
		"files":  NewReservationFiles(t.TempDir()),
	} {
		t.Run(name, func(t *testing.T) {
			start := func() (*Unit, *host, *host) {
				u := NewUnit(testIdentity, &fakeDevice{})
				if err := u.LoadReservations(store); err != nil {
					t.Fatal(err)
				}
				return u, newHost(t, "iqn.2026-01.org.example:A", 1, 1, u).calm(), newHost(t, "iqn.2026-01.org.example:b", 2, 1, u).calm()
			}
			_, a, b := start()
			if got := a.prout(actionRegister, 0, 0, 0x0a, listAPTPL); got != "good" {
				t.Fatal(got)
			}
			b.mustPR("good", actionRegister, 0, 0, 0x0b) // the latest APTPL counts, and it was 0
			if in := b.want("good", "5e 02 00 00 00 00 00 01 00 00"); in[2]&capPTPL == 0 || in[3]&capPTPLA != 0 {
				t.Errorf("capabilities %x", in)
			}
			u, _, _ := start()
			if u.pr.inUse() {
				t.Error("registrations without APTPL survived")
			}
			_, a, b = start()
			b.mustPR("good", actionRegister, 0, 0, 0x0b)
			if got := a.prout(actionRegister, 0, 0, 0x0a, listAPTPL); got != "good" {
				t.Fatal(got)
			}
			a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
			u, a, b = start()
			if len(u.pr.keys) != 2 || u.pr.kind != exclusiveAccess || u.pr.generation != 0 {
				t.Errorf("%+v", u.pr)
			}
			a.want("good", write10)
			b.want("conflict", read10)
			a.mustPR("good", actionClear, 0, 0x0a, 0)
			u, _, _ = start()
			if u.pr.inUse() {
				t.Error("registrations survived CLEAR")
			}
		})
	}
}

func TestAPTPLFailedSave(t *testing.T) {
	store := &memoryStore{state: map[string][]byte{}}
	u := NewUnit(testIdentity, &fakeDevice{})
	if err := u.LoadReservations(store); err != nil {
		t.Fatal(err)
	}
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
	if got := a.prout(actionRegister, 0, 0, 0x0a, listAPTPL); got != "good" {
		t.Fatal(got)
	}
	store.err = errors.New("disk full")
	a.mustPR("4/4400", actionReserve, exclusiveAccess, 0x0a, 0)
	if u.pr.kind != noReservation {
		t.Error("a reservation that was not saved holds")
	}
	store.err = nil
	a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
	saves := store.saves
	a.mustPR("good", actionReserve, exclusiveAccess, 0x0a, 0)
	if store.saves != saves {
		t.Error("what changed nothing was saved")
	}
	// Damage is noticed.
	store.state["disk1"][len(store.state["disk1"])-3] ^= 1
	if err := NewUnit(testIdentity, &fakeDevice{}).LoadReservations(store); !errors.Is(err, errDamaged) {
		t.Errorf("damaged state: %v", err)
	}
}

func TestReserve6(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
	b := newHost(t, "iqn.2026-01.org.example:b", 2, 1, u).calm()
	const reserve, release = "16 00 00 00 00 00", "17 00 00 00 00 00"
	a.want("good", reserve)
	a.want("good", reserve)
	b.want("conflict", reserve)
	b.want("good", release) // not its own
	a.want("good", senseModes)
	for _, cdb := range []string{senseModes, read10, write10, tur, readKeys, reserve, "56 00 00 00 00 00 00 00 00 00"} {
		b.want("conflict", cdb)
	}
	b.want("good", "12 00 00 00 60 00")
	b.want("good", "a0 00 00 00 00 00 00 00 10 00 00 00")
	a.want("good", release)
	b.want("good", reserve)
	b.want("good", "57 00 00 00 00 00 00 00 00 00")
	a.want("5/2400", "16 01 00 00 00 00") // extent
	a.want("5/2400", "16 10 00 00 00 00") // third party

	b.want("good", reserve)
	b.Close() // an I_T nexus loss
	a.want("good", reserve)
	if r := a.ManageTask(LogicalUnitReset, 0); r != FunctionComplete {
		t.Fatal(r)
	}
	a.heard(BusDeviceReset)
	if u.reserved6 != nil {
		t.Error("a reset left the reservation")
	}
}

func TestReservationFiles(t *testing.T) {
	dir := t.TempDir()
	f := NewReservationFiles(dir)
	for _, unit := range []string{"disk1", "../up", ".", "a/b"} {
		if b, err := f.Load(unit); b != nil || err != nil {
			t.Errorf("%q: %q, %v", unit, b, err)
		}
		if err := errors.Join(f.Save(unit, []byte("one")), f.Save(unit, []byte("two"))); err != nil {
			t.Fatal(err)
		}
		if b, err := f.Load(unit); string(b) != "two" || err != nil {
			t.Errorf("%q: %q, %v", unit, b, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, e := range files {
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if err := errors.Join(f.Save("disk1", nil), f.Save("disk1", nil)); err != nil {
		t.Error(err)
	}
	if b, err := f.Load("disk1"); b != nil || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := NewReservationFiles(dir+"/none").Save("disk1", []byte("x")); err == nil {
		t.Error("saved in a directory that is not there")
	}
	if err := os.Truncate(f.path("a/b"), maxSavedReservation+1); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load("a/b"); err == nil {
		t.Error("read a file of any length")
	}
}
