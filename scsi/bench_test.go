package scsi

import (
	"testing"
	"time"
)

// ioTask is a READ(10) as a transport keeps one in its pool.
func ioTask(n *Nexus) (run func(), p *Path) {
	in := &inBuffer{room: make([]byte, 4096)}
	cdb := make([]byte, 16)
	cdb[0], cdb[8] = 0x28, 1
	t := new(Task)
	p = n.Paths()[0]
	return func() {
		in.data = in.data[:0]
		t.Reset()
		t.CDB, t.Attr, t.Transfer, t.Expected = cdb, Simple, in, 512
		if !n.Admit(t) || !n.Execute(t) {
			panic(ending(t))
		}
		p.Count(t.Kind(), t.InLen, 20*time.Microsecond, t.Status == Good)
	}, p
}

func newIOHost(t testing.TB) *Nexus {
	n := NewNexus(InitiatorID{Name: "iqn.2026-01.org.example:a"}, &Port{ID: 1}, &fakeTransport{})
	n.SetLUNs([]Mapping{{LUN: 3, Unit: NewUnit(testIdentity, &fakeDevice{})}, {LUN: 0, Unit: NewUnit(testIdentity, &fakeDevice{})}})
	(&host{Nexus: n}).calm()
	return n
}

func TestIODoesNotAllocate(t *testing.T) {
	run, _ := ioTask(newIOHost(t))
	run()
	if n := testing.AllocsPerRun(1000, run); n != 0 {
		t.Errorf("%v allocations an I/O", n)
	}
}

func BenchmarkIO(b *testing.B) {
	run, _ := ioTask(newIOHost(b))
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}
