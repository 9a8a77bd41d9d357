package scsi

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// seen is the reservation state as PERSISTENT RESERVE IN tells it.
type seen struct {
	generation uint32
	kind       byte
	holders    map[string]bool // initiator port names
	keys       map[string]uint64
}

func (h *host) look() seen {
	in := h.want("good", fullState)
	s := seen{generation: binary.BigEndian.Uint32(in), holders: map[string]bool{}, keys: map[string]uint64{}}
	for in = in[8:]; len(in) > 0; {
		n := 24 + int(binary.BigEndian.Uint32(in[20:]))
		id, _, _, ok := parseTransportID(in[24:n])
		if !ok {
			h.t.Fatalf("TransportID %x", in[24:n])
		}
		s.keys[id.String()] = binary.BigEndian.Uint64(in)
		if in[12]&1 != 0 {
			s.holders[id.String()], s.kind = true, in[13]&0x0f
		}
		in = in[n:]
	}
	return s
}

// mayAccess is SPC-5 table 66 and SBC-4 table 13, written down apart from the
// code: whether an I_T nexus may read, write, and do other things.
func mayAccess(kind byte, holder, registered bool) (read, write, other bool) {
	switch kind {
	case 0:
		return true, true, true
	case 1:
		return true, holder, holder
	case 3:
		return holder, holder, holder
	case 5:
		return true, holder || registered, holder || registered
	case 6:
		return holder || registered, holder || registered, holder || registered
	case 7:
		return true, registered, registered
	case 8:
		return registered, registered, registered
	}
	return false, false, false
}

// Any sequence of PERSISTENT RESERVE OUT keeps to the rules of SPC-5 5.14, as
// seen from outside.
func TestReservationProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		store := &memoryStore{state: map[string][]byte{}}
		u := NewUnit(testIdentity, &fakeDevice{})
		if err := u.LoadReservations(store); err != nil {
			r.Fatal(err)
		}
		var hosts []*host
		for i := range 3 {
			hosts = append(hosts, newHost(t, fmt.Sprintf("iqn.2026-01.org.example:h%d", i), byte(i), 1, u).calm())
		}
		name := func(h *host) string { return h.Initiator().String() }
		key := rapid.Uint64Range(0, 3)
		for range rapid.IntRange(1, 25).Draw(r, "steps") {
			h := rapid.SampledFrom(hosts).Draw(r, "host")
			action := reserveAction(rapid.IntRange(0, 6).Draw(r, "action"))
			kind := reservationType(rapid.SampledFrom([]int{1, 3, 5, 6, 7, 8}).Draw(r, "type"))
			k, nk := key.Draw(r, "key"), key.Draw(r, "new key")
			aptpl := byte(rapid.IntRange(0, 1).Draw(r, "aptpl"))
			before := h.look()
			how := h.prout(action, kind, k, nk, aptpl)
			after := h.look()
			own, registered := before.keys[name(h)]

			if how != "good" {
				if diff := cmp.Diff(before, after, cmp.AllowUnexported(seen{})); diff != "" {
					r.Fatalf("action %d failed with %s and changed something:\n%s", action, how, diff)
				}
			}
			if how == "good" && action != actionRegisterAndIgnore {
				if !registered && (action != actionRegister || k != 0) || registered && own != k {
					r.Fatalf("action %d with key %x went well; registered with %x (%v)", action, k, own, registered)
				}
			}
			bumps := uint32(0)
			switch {
			case how != "good", action == actionReserve, action == actionRelease:
			case (action == actionRegister || action == actionRegisterAndIgnore) && nk == 0 && !registered:
			default:
				bumps = 1
			}
			if after.generation != before.generation+bumps {
				r.Fatalf("action %d: generation went from %d to %d", action, before.generation, after.generation)
			}
			if after.kind == 0 && u.pr.kind != noReservation {
				r.Fatalf("a reservation that nobody holds: %+v", u.pr)
			}
			if all := after.kind >= 7; len(after.holders) > 1 && !all || all && len(after.holders) != len(after.keys) {
				r.Fatalf("type %d held by %d of %d", after.kind, len(after.holders), len(after.keys))
			}
			if how == "good" && (action == actionPreempt || action == actionPreemptAndAbort) && nk != 0 {
				for n, has := range after.keys {
					if has == nk && n != name(h) {
						r.Fatalf("PREEMPT left a registration with key %x", nk)
					}
				}
			}
			for _, other := range hosts {
				lost := other != h && before.keys[name(other)] != 0 && after.keys[name(other)] == 0
				told := other.attentionsOf()
				if lost && len(told) == 0 {
					r.Fatalf("action %d: %s lost its registration and was not told", action, name(other))
				}
				if other == h && len(told) > 0 {
					r.Fatalf("action %d raised %04x for its own sender", action, told)
				}
				_, isKnown := after.keys[name(other)]
				read, write, rest := mayAccess(after.kind, after.holders[name(other)], isKnown)
				for cdb, may := range map[string]bool{read10: read, write10: write, senseModes: rest, tur: true} {
					want := "conflict"
					if may {
						want = "good"
					}
					if task, _ := other.run(0, cdb); ending(task) != want {
						r.Fatalf("type %d, holder %v, registered %v: %s ended with %s, want %s",
							after.kind, after.holders[name(other)], isKnown, cdb, ending(task), want)
					}
				}
			}
			// What is to persist is what a restart finds.
			fresh := NewUnit(testIdentity, &fakeDevice{})
			if err := fresh.LoadReservations(store); err != nil {
				r.Fatal(err)
			}
			want := reservation{}
			if u.pr.aptpl && u.pr.inUse() {
				want = u.pr.clone()
				want.generation = 0
				if want.kind == noReservation || want.kind.allRegistrants() {
					want.holder = nexusID{}
				}
			}
			if diff := cmp.Diff(want, fresh.pr, cmp.AllowUnexported(reservation{}, registration{}, nexusID{})); diff != "" {
				r.Fatalf("after a restart:\n%s", diff)
			}
		}
	})
}
