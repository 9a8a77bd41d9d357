package scsi

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDevice is a device with commands that do nothing but have an access class.
type fakeDevice struct {
	mu        sync.Mutex
	resets    int
	lost      int
	condition Sense
	bad       bool
	block     chan struct{} // READ(10) waits for it, if set
	changed   [][]byte
}

func (d *fakeDevice) Type() byte       { return 0 }
func (d *fakeDevice) Removable() bool  { return false }
func (d *fakeDevice) VPDPages() []byte { return []byte{0xb0} }
func (d *fakeDevice) Versions() []uint16 {
	return []uint16{0x0600}
}
func (d *fakeDevice) VPD(page byte, b []byte) ([]byte, bool) {
	if page != 0xb0 {
		return b, false
	}
	return append(b, 1, 2, 3, 4), true
}
func (d *fakeDevice) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resets++
}
func (d *fakeDevice) NexusLost(*Path) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost++
}
func (d *fakeDevice) Condition() (Sense, bool) { return d.condition, d.bad }

func (d *fakeDevice) Commands() []Command {
	cdb10 := func(op byte) []byte { return []byte{op, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 4} }
	return []Command{
		{Name: "READ(10)", Op: 0x28, Usage: cdb10(0x28), Access: ReadsMedium,
			Parse: func(t *Task) { t.InLen = 512 },
			Do: func(t *Task) {
				if d.block != nil && !t.MayBlock {
					t.WouldBlock = true
					return
				}
				if d.block != nil {
					<-d.block
				}
				for n := 0; n < t.InLen; {
					room := t.Transfer.Room(t.InLen - n)
					if room == nil {
						return
					}
					t.Transfer.Sent(len(room))
					n += len(room)
				}
			}},
		{Name: "WRITE(10)", Op: 0x2a, Usage: cdb10(0x2a), Access: WritesMedium,
			Parse: func(t *Task) { t.OutLen = 512 }, Do: func(*Task) {}},
		{Name: "READ CAPACITY(16)", Op: 0x9e, Action: 0x10, HasAction: true,
			Usage:  []byte{0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 4},
			Access: NoReservation, Parse: allocation32(10), Do: func(t *Task) { t.Reply(make([]byte, 32), t.InLen) }},
	}
}

// inBuffer is a Transfer that keeps what it is given.
type inBuffer struct {
	data []byte
	room []byte
}

func (b *inBuffer) Room(n int) []byte {
	if cap(b.room) == 0 {
		b.room = make([]byte, 4096)
	}
	return b.room[:min(n, 4096)]
}
func (b *inBuffer) Sent(n int) { b.data = append(b.data, b.room[:n]...) }

// fakeTransport notes what it is asked for.
type fakeTransport struct {
	mu      sync.Mutex
	aborted []LUN
	resumed []*Task
	onAbort func(except *Task)
}

func (f *fakeTransport) AbortTasks(l LUN, except *Task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aborted = append(f.aborted, l)
	if f.onAbort != nil {
		f.onAbort(except)
	}
}
func (f *fakeTransport) Resume(t *Task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resumed = append(f.resumed, t)
}

// host is an initiator port as tests see it.
type host struct {
	*Nexus
	t  *testing.T
	tr *fakeTransport
}

var testIdentity = Identity{Name: "disk1", Vendor: "ESOS", Product: "Virtual disk", Revision: "1",
	Serial: "0123456789abcdef", T10ID: "disk1-id", NAA: 0x600140512345678 << 4, NAAExt: 0x1122334455667788}

// newHost logs an initiator in to u (LUN 0) through a port.
func newHost(t *testing.T, name string, isid byte, port uint16, units ...*Unit) *host {
	t.Helper()
	tr := &fakeTransport{}
	p := &Port{Name: "iqn.2026-01.org.example:array,t,0x000" + string(rune('0'+port)), ID: port, Peers: []uint16{1, 2}}
	n := NewNexus(InitiatorID{Name: name, ISID: [6]byte{0x80, 0, 0, 0, 0, isid}}, p, tr)
	var m []Mapping
	for i, u := range units {
		m = append(m, Mapping{LUN: LUN(i), Unit: u})
	}
	n.SetLUNs(m)
	return &host{Nexus: n, t: t, tr: tr}
}

// calm takes all pending unit attentions.
func (h *host) calm() *host {
	for _, p := range h.Paths() {
		for _, ok := p.nextAttention(); ok; _, ok = p.nextAttention() {
		}
	}
	return h
}

// run carries out a command, given in hex, with Data-Out, and returns the
// task and its Data-In.
func (h *host) run(lun LUN, cdb string, out ...byte) (*Task, []byte) {
	h.t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(cdb, " ", ""))
	if err != nil {
		h.t.Fatal(err)
	}
	in := &inBuffer{}
	t := &Task{CDB: append(raw, make([]byte, max(0, 16-len(raw)))...), LUN: lun, Attr: Simple, Transfer: in, MayBlock: true}
	if h.Admit(t) {
		t.Out = out[:min(len(out), t.OutLen)]
		h.Execute(t)
	}
	return t, in.data
}

// want runs a command on LUN 0 and checks how it ends: good, conflict, or
// sense as key/code in hex.
func (h *host) want(how, cdb string, out ...byte) []byte {
	h.t.Helper()
	task, in := h.run(0, cdb, out...)
	if got := ending(task); got != how {
		h.t.Fatalf("%s: %s, want %s", cdb, got, how)
	}
	return in
}

func ending(t *Task) string {
	switch t.Status {
	case Good:
		return "good"
	case ReservationConflict:
		return "conflict"
	case CheckCondition:
		return hex.EncodeToString([]byte{byte(t.Sense.Key)})[1:] + "/" + hex.EncodeToString([]byte{byte(t.Sense.Code >> 8), byte(t.Sense.Code)})
	}
	return "status " + hex.EncodeToString([]byte{byte(t.Status)})
}

// golden compares bytes with a file of testdata, as a hex dump.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".hex")
	text := hex.Dump(got)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s:\n%swant:\n%s", name, text, want)
	}
}
