package scsi

import (
	"encoding/hex"
	"testing"
)

func TestSenseEncode(t *testing.T) {
	bit := Sense{Key: IllegalRequest, Code: InvalidFieldInCDB, HasField: true, InCDB: true, Field: 0x0102, HasBit: true, Bit: 5}
	for _, c := range []struct {
		name       string
		s          Sense
		fixed      string
		descriptor string
	}{
		{"none", Sense{}, "70000000000000" + "0a" + "00000000" + "0000" + "00" + "000000", "7200000000000000"},
		{"field", bit, "70000500000000" + "0a" + "00000000" + "2400" + "00" + "cd0102",
			"720524000000000" + "8" + "02060000" + "cd010200"},
		{"parameter", InvalidParameter(3), "70000500000000" + "0a" + "00000000" + "2600" + "00" + "800003",
			"7205260000000008" + "02060000" + "80000300"},
		{"information", Sense{Key: MediumError, Code: UnrecoveredReadError, HasInfo: true, Info: 0x01020304},
			"f0000301020304" + "0a" + "00000000" + "1100" + "00" + "000000",
			"720311000000000c" + "000a8000" + "0000000001020304"},
		{"far information", Sense{Key: MediumError, Code: UnrecoveredReadError, HasInfo: true, Info: 1 << 40},
			"70000300000000" + "0a" + "00000000" + "1100" + "00" + "000000", // it does not fit
			"720311000000000c" + "000a8000" + "0000010000000000"},
		{"progress", Sense{Key: NotReady, Code: 0x0404, HasProgress: true, Progress: 0x8001},
			"70000200000000" + "0a" + "00000000" + "0404" + "00" + "808001",
			"7202040400000008" + "02060000" + "80800100"},
		{"deferred", Sense{Key: MediumError, Code: WriteError, Deferred: true},
			"71000300000000" + "0a" + "00000000" + "0c00" + "00" + "000000", "73030c0000000000"},
	} {
		if got := hex.EncodeToString(c.s.Encode(nil, false)); got != c.fixed {
			t.Errorf("%s, fixed: %s, want %s", c.name, got, c.fixed)
		}
		if got := hex.EncodeToString(c.s.Encode([]byte{}, true)); got != c.descriptor {
			t.Errorf("%s, descriptor: %s, want %s", c.name, got, c.descriptor)
		}
	}
	if b := bit.Encode([]byte{1, 2}, true); b[0] != 1 || b[2] != 0x72 || b[9] != 8 {
		t.Errorf("appended to something: %x", b)
	}
}

// longDevice serves a variable length CDB, and a command of its own in the
// place of one of Unit's.
type longDevice struct{ fakeDevice }

func (d *longDevice) Commands() []Command {
	usage := make([]byte, 32)
	usage[0], usage[7], usage[9] = variableLength, 24, 0x09
	return append(d.fakeDevice.Commands(),
		Command{Name: "READ(32)", Op: variableLength, Action: 9, HasAction: true, Usage: usage, Access: ReadsMedium, Do: func(*Task) {}},
		Command{Name: "TEST UNIT READY", Op: 0, Usage: make([]byte, 6), Do: func(t *Task) { t.Fail(Sense{Key: NotReady, Code: 0x0402}) }})
}

func TestVariableLength(t *testing.T) {
	h := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, &longDevice{})).calm()
	const read32 = "7f 00 000000000018 0009"
	const rest = "00000000 0000000000000000 0000000000000000 0000"
	h.want("good", read32+rest)
	h.want("5/2400", "7f 04 000000000018 0009"+rest) // NACA
	h.want("5/2400", "7f 00 000000000018 0008"+rest)
	h.want("5/2400", read32) // the CDB is too short
	h.want("2/0402", tur)    // the device's own
	short := &Task{CDB: []byte{0x7f, 0, 0, 0, 0, 0}, Attr: Simple}
	if h.Admit(short) || ending(short) != "5/2400" {
		t.Error(ending(short))
	}
	none := &Task{CDB: []byte{0x12}, Attr: Simple}
	if h.Admit(none) || ending(none) != "5/2000" {
		t.Error(ending(none))
	}
}

func TestAllows(t *testing.T) {
	_, a, b, c := trio(t)
	a.mustPR("good", actionReserve, writeExclusive, 0x0a, 0)
	for _, x := range []struct {
		h     *host
		write bool
	}{{a, true}, {b, false}, {c, false}} {
		p := x.h.Paths()[0]
		if !p.Allows(ReadsMedium) || p.Allows(WritesMedium) != x.write {
			t.Errorf("%s: read %v, write %v", x.h.Initiator(), p.Allows(ReadsMedium), p.Allows(WritesMedium))
		}
	}
	p := c.Paths()[0]
	c.SetLUNs(nil)
	if p.Allows(ReadsMedium) {
		t.Error("allowed on a path that is gone")
	}
}
