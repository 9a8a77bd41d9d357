package scsi

import (
	"bytes"
	"testing"
)

func TestInquiryGolden(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	h := newHost(t, "iqn.2026-01.org.example:host1", 1, 1, u)
	for name, cdb := range map[string]string{
		"inquiry":    "12 00 00 01 00 00",
		"vpd00":      "12 01 00 01 00 00",
		"vpd80":      "12 01 80 01 00 00",
		"vpd83":      "12 01 83 01 00 00",
		"vpd86":      "12 01 86 01 00 00",
		"vpdb0":      "12 01 b0 01 00 00",
		"reportluns": "a0 00 00 00 00 00 00 00 01 00 00 00",
		"wlun":       "a0 00 02 00 00 00 00 00 01 00 00 00",
	} {
		golden(t, name, h.want("good", cdb))
	}
}

func TestInquiryFields(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	h := newHost(t, "iqn.2026-01.org.example:host1", 1, 1, u)
	h.want("5/2400", "12 00 01 00 ff 00") // page code without EVPD
	h.want("5/2400", "12 02 00 00 ff 00") // CMDDT
	h.want("5/2400", "12 01 77 00 ff 00") // no such page
	h.want("5/2400", "12 00 00 00 ff 04") // NACA
	if in := h.want("good", "12 00 00 00 05 00"); len(in) != 5 {
		t.Errorf("allocation length 5 gave %d bytes", len(in))
	}
	a, b := h.want("good", "12 00 00 01 ff 00"), h.want("good", "12 00 00 02 00 00")
	if !bytes.Equal(a, b) || len(a) != 96 {
		t.Errorf("allocation lengths 511 and 512 differ: %x, %x", a, b)
	}
}

func TestNowhere(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	h := newHost(t, "iqn.2026-01.org.example:host1", 1, 1, u)
	empty := newHost(t, "iqn.2026-01.org.example:host2", 1, 1)
	if task, in := h.run(5, "12 00 00 00 60 00"); task.Status != Good || in[0] != 0x7f {
		t.Errorf("INQUIRY of no unit: %s, %x", ending(task), in)
	}
	if task, in := empty.run(0, "a0 00 00 00 00 00 00 00 00 10 00 00"); task.Status != Good || len(in) != 8 || in[3] != 0 {
		t.Errorf("REPORT LUNS of nothing: %s, %x", ending(task), in)
	}
	if task, in := h.run(5, "03 00 00 00 12 00"); task.Status != Good || in[2] != 5 || in[12] != 0x25 {
		t.Errorf("REQUEST SENSE of no unit: %s, %x", ending(task), in)
	}
	for _, c := range []struct {
		lun  LUN
		cdb  string
		want string
	}{
		{5, "00 00 00 00 00 00", "5/2500"},
		{NoLUN, "28 00 00 00 00 00 00 00 01 00", "5/2500"},
		{ReportLUNsWLUN, "00 00 00 00 00 00", "good"},
		{ReportLUNsWLUN, "28 00 00 00 00 00 00 00 01 00", "5/2000"},
		{5, "a0 00 55 00 00 00 00 00 00 10 00 00", "5/2400"},
	} {
		if task, _ := h.run(c.lun, c.cdb); ending(task) != c.want {
			t.Errorf("LUN %#x, %s: %s, want %s", c.lun, c.cdb, ending(task), c.want)
		}
	}
}

func TestParseLUN(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want LUN
		ok   bool
	}{
		{[]byte{0, 0, 0, 0, 0, 0, 0, 0}, 0, true},
		{[]byte{0, 255, 0, 0, 0, 0, 0, 0}, 255, true},
		{[]byte{0x40, 5, 0, 0, 0, 0, 0, 0}, 5, true},
		{[]byte{0x7f, 0xff, 0, 0, 0, 0, 0, 0}, 16383, true},
		{[]byte{0xc1, 1, 0, 0, 0, 0, 0, 0}, ReportLUNsWLUN, true},
		{[]byte{1, 0, 0, 0, 0, 0, 0, 0}, NoLUN, false},       // another bus
		{[]byte{0, 0, 0, 1, 0, 0, 0, 0}, NoLUN, false},       // a second level
		{[]byte{0xff, 0xff, 0, 0, 0, 0, 0, 0}, NoLUN, false}, // no such method
		{[]byte{0, 0, 0}, NoLUN, false},
	} {
		if got, ok := ParseLUN(c.b); got != c.want || ok != c.ok {
			t.Errorf("ParseLUN(%x) = %#x, %v; want %#x, %v", c.b, got, ok, c.want, c.ok)
		}
	}
	for _, l := range []LUN{0, 1, 255, 256, MaxLUN, ReportLUNsWLUN} {
		if got, ok := ParseLUN(AppendLUN(nil, l)); !ok || got != l {
			t.Errorf("LUN %d came back as %d, %v", l, got, ok)
		}
	}
}

func TestDispatch(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	h := newHost(t, "iqn.2026-01.org.example:host1", 1, 1, u)
	h.want("6/2900", "00 00 00 00 00 00")
	h.want("good", "00 00 00 00 00 00")
	h.want("5/2000", "c1 00 00 00 00 00")
	h.want("5/2400", "9e 1f 00 00 00 00")
	h.want("good", "9e 10 00 00 00 00 00 00 00 00 00 00 00 20 00 00")
	h.want("good", "28 00 00 00 00 00 00 00 01 00")
	if task, _ := h.run(0, "9e 1f 00 00 00 00"); task.Sense.Field != 1 || !task.Sense.InCDB {
		t.Errorf("unknown service action: field %d", task.Sense.Field)
	}
	aca := &Task{CDB: make([]byte, 16), Attr: ACA}
	if h.Admit(aca) || aca.Sense.Code != InvalidMessageError {
		t.Errorf("ACA attribute: %s", ending(aca))
	}
}
