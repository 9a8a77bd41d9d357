package scsi

import (
	"testing"
)

func TestAttentions(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u)
	p := a.Paths()[0]
	a.want("good", "12 00 00 00 60 00") // INQUIRY neither reports nor clears
	u.CapacityChanged()
	u.CapacityChanged()
	u.MediumChanged()
	u.InquiryChanged()
	a.want("6/2900", tur)
	a.want("6/2a09", "c1 00 00 00 00 00") // before the operation code is looked at
	if in := a.want("good", "03 00 00 00 12 00"); in[2] != 6 || in[12] != 0x28 {
		t.Errorf("REQUEST SENSE: %x", in)
	}
	if in := a.want("good", "03 01 00 00 ff 00"); in[0] != 0x72 || in[1] != 6 || in[2] != 0x3f {
		t.Errorf("REQUEST SENSE with DESC: %x", in)
	}
	a.want("good", tur)
	if p.gate.Load() != 0 {
		t.Errorf("gate %#x", p.gate.Load())
	}

	// A reset goes first and stands for weaker ones; a stronger one replaces it.
	u.CapacityChanged()
	u.Attention(NexusLoss, nil)
	u.Attention(BusDeviceReset, nil)
	a.heard(BusDeviceReset, CapacityDataChanged)

	for code := uint16(0x8000); code < 0x8100; code++ {
		u.Attention(code, nil)
	}
	if n := len(a.attentionsOf()); n != maxAttentions {
		t.Errorf("%d attentions pending", n)
	}
	u.Attention(0x8000, p)
	a.heard()
}

func TestReportLUNsClears(t *testing.T) {
	u, v := NewUnit(testIdentity, &fakeDevice{}), NewUnit(testIdentity, &fakeDevice{})
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u, v).calm()
	first := a.Paths()[0]
	a.SetLUNs([]Mapping{{LUN: 0, Unit: u}, {LUN: 1, Unit: v}}) // no change
	a.heard()
	a.SetLUNs([]Mapping{{LUN: 0, Unit: u}, {LUN: 300, Unit: v}, {LUN: 300, Unit: u}, {LUN: MaxLUN + 1, Unit: u}})
	if a.Paths()[0] != first || len(a.Paths()) != 2 {
		t.Error("a path that did not change was replaced")
	}
	if len(a.tr.aborted) != 1 || a.tr.aborted[0] != 1 {
		t.Errorf("aborted %v", a.tr.aborted)
	}
	in := a.want("good", "a0 00 00 00 00 00 00 00 01 00 00 00")
	golden(t, "reportluns-flat", in)
	a.heard()
	if task, _ := a.run(300, tur); ending(task) != "6/2900" {
		t.Errorf("the new LUN: %s", ending(task))
	}
	if task, _ := a.run(300, tur); ending(task) != "good" {
		t.Errorf("the new LUN: %s", ending(task))
	}
	if task, _ := a.run(1, tur); ending(task) != "5/2500" {
		t.Errorf("the old LUN: %s", ending(task))
	}
}

func TestReadOnlyMapping(t *testing.T) {
	u := NewUnit(testIdentity, &fakeDevice{})
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1)
	a.SetLUNs([]Mapping{{LUN: 0, Unit: u, ReadOnly: true}})
	a.calm().want("7/2700", write10)
	a.want("good", read10)
	b := newHost(t, "iqn.2026-01.org.example:b", 2, 1, u).calm()
	b.want("good", write10)
	b.mustPR("good", actionRegister, 0, 0, 1)
	b.mustPR("good", actionReserve, exclusiveAccess, 1, 0)
	a.want("conflict", write10)
}

func TestManageTask(t *testing.T) {
	d := &fakeDevice{}
	u := NewUnit(testIdentity, d)
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, u).calm()
	b := newHost(t, "iqn.2026-01.org.example:b", 2, 1, u).calm()
	for _, c := range []struct {
		f    TMF
		lun  LUN
		want TMFResponse
		a, b int // calls of AbortTasks
		ua   uint16
	}{
		{AbortTaskSet, 0, FunctionComplete, 1, 0, 0},
		{ClearTaskSet, 0, FunctionComplete, 1, 0, 0},
		{LogicalUnitReset, 0, FunctionComplete, 1, 1, BusDeviceReset},
		{TargetWarmReset, 0, FunctionComplete, 1, 1, PowerOnOrReset},
		{TargetColdReset, NoLUN, FunctionComplete, 1, 1, PowerOnOrReset},
		{AbortTaskSet, 7, LUNDoesNotExist, 0, 0, 0},
		{LogicalUnitReset, NoLUN, LUNDoesNotExist, 0, 0, 0},
		{ClearACA, 0, FunctionNotSupported, 0, 0, 0},
		{TMF(99), 0, FunctionNotSupported, 0, 0, 0},
	} {
		a.tr.aborted, b.tr.aborted = nil, nil
		if got := a.ManageTask(c.f, c.lun); got != c.want {
			t.Errorf("function %d of LUN %d: %d, want %d", c.f, c.lun, got, c.want)
		}
		if len(a.tr.aborted) != c.a || len(b.tr.aborted) != c.b {
			t.Errorf("function %d: aborted %v, %v", c.f, a.tr.aborted, b.tr.aborted)
		}
		if c.ua != 0 {
			a.heard(c.ua)
			b.heard(c.ua)
		} else {
			a.heard()
			b.heard()
		}
	}
	if d.resets != 3 {
		t.Errorf("%d resets", d.resets)
	}
	a.Close()
	a.Close()
	if d.lost != 1 || len(u.snapshot()) != 1 {
		t.Errorf("lost %d, paths %d", d.lost, len(u.snapshot()))
	}
	a.SetLUNs([]Mapping{{LUN: 0, Unit: u}})
	if len(u.snapshot()) != 1 {
		t.Error("a closed nexus has paths")
	}
}

func TestCondition(t *testing.T) {
	d := &fakeDevice{bad: true, condition: Sense{Key: NotReady, Code: 0x041b, HasProgress: true, Progress: 0x8000}}
	a := newHost(t, "iqn.2026-01.org.example:a", 1, 1, NewUnit(testIdentity, d)).calm()
	a.want("2/041b", tur)
	if in := a.want("good", "03 00 00 00 12 00"); in[2] != 2 || in[12] != 4 || in[13] != 0x1b || in[15] != 0x80 || in[16] != 0x80 {
		t.Errorf("REQUEST SENSE: %x", in)
	}
}
