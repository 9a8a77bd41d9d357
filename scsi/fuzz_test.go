package scsi

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzCDB sends any CDB with any Data-Out: nothing panics, Data-In keeps to
// the allocation length, and no task is left behind.
func FuzzCDB(f *testing.F) {
	u := NewUnit(testIdentity, &modalDevice{})
	for _, c := range u.rows() {
		f.Add(uint16(0), byte(1), append(bytes.Clone(c.Usage), make([]byte, 32)...), make([]byte, 64))
	}
	f.Add(uint16(NoLUN), byte(0), []byte{0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0}, []byte{})
	f.Add(uint16(ReportLUNsWLUN), byte(3), []byte{0x12, 0, 0, 0, 0xff, 0}, []byte{})
	f.Fuzz(func(t *testing.T, lun uint16, attr byte, cdb, out []byte) {
		u := NewUnit(testIdentity, &modalDevice{}, WithAccessSetter(func(map[uint16]AccessState) error { return nil }))
		h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
		in := &inBuffer{}
		task := &Task{CDB: cdb, LUN: LUN(lun), Attr: TaskAttr(attr & 7), Transfer: in, MayBlock: true}
		if h.Admit(task) {
			if task.OutLen < 0 || task.OutLen > 1<<20 || task.InLen < 0 || task.InLen > 1<<20 {
				t.Fatalf("asks for %d bytes out, %d in", task.OutLen, task.InLen)
			}
			limit := task.InLen
			task.Out = out[:min(len(out), task.OutLen)]
			if !h.Execute(task) {
				t.Fatal("not executed")
			}
			if len(in.data) > limit {
				t.Fatalf("%d bytes of Data-In, %d allowed", len(in.data), limit)
			}
		}
		if task.Status == CheckCondition && task.Sense.Key == NoSense {
			t.Fatal("CHECK CONDITION without sense")
		}
		if n := u.snapshot()[0].Active(); n != 0 {
			t.Fatalf("%d tasks left behind", n)
		}
	})
}

// FuzzPersistentOut sends any parameter list with any service action: the
// state stays one that can be saved and read back.
func FuzzPersistentOut(f *testing.F) {
	ids := appendTransportID(nil, InitiatorID{Name: "iqn.2026-01.org.example:b"})
	list := make([]byte, 24)
	list[15] = 7
	f.Add(byte(0), byte(0), list)
	spec := append(bytes.Clone(list), 0, 0, 0, byte(len(ids)))
	spec[20] = listSpecIPT
	f.Add(byte(0), byte(0), append(spec, ids...))
	move := bytes.Clone(list)
	move[7], move[23] = 1, byte(len(ids))
	f.Add(byte(7), byte(3), append(move, ids...))
	f.Add(byte(4), byte(7), move)
	f.Fuzz(func(t *testing.T, action, kind byte, list []byte) {
		list = list[:min(len(list), maxReserveList)]
		u := NewUnit(testIdentity, &fakeDevice{})
		if err := u.LoadReservations(&memoryStore{state: map[string][]byte{}}); err != nil {
			t.Fatal(err)
		}
		h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
		if action&1 != 0 { // the holder sends it, or a stranger
			h.mustPR("good", actionRegister, 0, 0, 1)
			h.mustPR("good", actionReserve, exclusiveAccess, 1, 0)
		}
		h.proutList(reserveAction(action>>1&0x1f), reservationType(kind), list)
		state, err := u.pr.encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeReservation(state)
		if err != nil {
			t.Fatalf("%v: %s", err, state)
		}
		want := u.pr.clone()
		want.generation, want.aptpl = 0, true
		if want.kind == noReservation || want.kind.allRegistrants() {
			want.holder = nexusID{}
		}
		if diff := cmp.Diff(want, back, cmp.AllowUnexported(reservation{}, registration{}, nexusID{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzModeSelect sends any parameter list: what MODE SENSE then tells differs
// from the default only in bits that are changeable.
func FuzzModeSelect(f *testing.F) {
	f.Add(false, []byte{0, 0, 0, 0, 0x0a, 10, 0x26, 0x10, 8, 0, 0, 0, 0xff, 0xff, 0, 0})
	f.Add(true, append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 8, 18}, make([]byte, 18)...))
	f.Add(false, []byte{0, 0, 0, 8, 0, 0, 8, 0, 0, 0, 2, 0, 0x4a, 5, 0, 4, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, ten bool, list []byte) {
		_, u, h, _ := modal(t)
		list = list[:min(len(list), 255)]
		cdb := []byte{opModeSelect6, modeSelectPF, 0, 0, byte(len(list)), 0, 0, 0, 0, 0}
		if ten {
			cdb = []byte{opModeSelect10, modeSelectPF, 0, 0, 0, 0, 0, 0, byte(len(list)), 0}
		}
		task := &Task{CDB: cdb, Attr: Simple, Transfer: &inBuffer{}, MayBlock: true}
		if h.Admit(task) {
			task.Out = list
			h.Execute(task)
		}
		for _, p := range u.mode.pages {
			for i := range p.Default {
				if (p.current[i]^p.Default[i])&^p.Mask[i] != 0 {
					t.Fatalf("page %02x byte %d is %02x", p.Code, i, p.current[i])
				}
			}
		}
	})
}

// FuzzSavedReservation reads any saved state: what is accepted is sound.
func FuzzSavedReservation(f *testing.F) {
	r := reservation{kind: writeExclusive}
	r.put(nexusID{InitiatorID{Name: "iqn.a:x"}, 1}, 5)
	r.holder = r.keys[0].nexus
	state, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	_, body, _ := bytes.Cut(state, []byte("\n"))
	f.Add(body)
	f.Fuzz(func(t *testing.T, state []byte) {
		for _, s := range [][]byte{state, checked(state)} {
			r, err := decodeReservation(s)
			if err != nil {
				continue
			}
			if r.kind != noReservation && (!r.inUse() || !r.kind.allRegistrants() && r.find(r.holder) < 0) {
				t.Fatalf("%+v", r)
			}
			again, err := r.encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decodeReservation(again); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzTransportID reads any TransportID: one that is accepted keeps within
// its bytes and comes back the same.
func FuzzTransportID(f *testing.F) {
	f.Add(appendTransportID(nil, InitiatorID{Name: "iqn.2026-01.org.example:b", ISID: [6]byte{1, 2, 3, 4, 5, 6}}))
	f.Add([]byte("\x05\x00\x00\x14iqn.a:x\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, anyPort, size, ok := parseTransportID(b)
		if !ok {
			return
		}
		if size > len(b) || int(binary.BigEndian.Uint16(b[2:]))+4 != size {
			t.Fatalf("size %d of %d", size, len(b))
		}
		if back, _, _, ok := parseTransportID(appendTransportID(nil, id)); !anyPort && (!ok || back != id) {
			t.Fatalf("%q came back as %q", id, back)
		}
	})
}
