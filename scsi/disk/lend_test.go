package disk

import (
	"bytes"
	"testing"
	"time"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// copying starts an EXTENDED COPY of 4 MiB from LUN 0 to LUN 1, whose store
// hangs in the first write. ended gives the task when it has ended.
func copying(t *testing.T) (s *shelf, store *stuck, ended chan *scsi.Task) {
	s = newShelf(t, Options{}, Options{})
	s.put(0, 0, bytes.Repeat([]byte{1}, 4*mib))
	store = &stuck{Memory: backing.NewMemory(8 * mib), release: make(chan struct{})}
	s.disks[1].store = store
	ended = make(chan *scsi.Task, 1)
	go func() {
		ended <- s.copy(0, list(1, 0, [][]byte{s.target(0, 512), s.target(1, 512)}, [][]byte{segment(0, 1, 8192, 0, 0)}))
	}()
	for end := time.Now().Add(10 * time.Second); s.disks[1].gate.drained(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the copy does not begin")
		}
	}
	return s, store, ended
}

// A LUN that is taken from an initiator is let go of by copies that it sent to
// another LUN: when SetLUNs returns nothing is written there any more.
func TestCopyLetsGoOfLUN(t *testing.T) {
	s, store, ended := copying(t)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.nexus.SetLUNs([]scsi.Mapping{{LUN: 0, Unit: s.units[0]}})
	}()
	select {
	case <-gone:
		t.Error("the LUN is gone while a copy writes to it")
	case <-time.After(50 * time.Millisecond):
	}
	close(store.release)
	<-gone
	b := bytes.Repeat([]byte{9}, 8*mib)
	if _, err := store.Memory.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if task := <-ended; task.Status != scsi.CheckCondition || task.Sense.Key != scsi.CopyAborted {
		t.Errorf("status %#x, sense %+v", task.Status, task.Sense)
	}
	got := make([]byte, 8*mib)
	if _, err := store.Memory.ReadAt(got, 0); err != nil || !bytes.Equal(got, b) {
		t.Errorf("the copy wrote to a LUN that was gone: %v", err)
	}
}

// A reservation that another initiator takes stops a copy that is under way:
// whoever preempts to fence a host off must not be written behind its back.
func TestCopyKeepsToReservations(t *testing.T) {
	s, store, ended := copying(t)
	other := &shelf{t: t, units: s.units, nexus: scsi.NewNexus(scsi.InitiatorID{Name: "iqn.2026-01.example:b"}, s.nexus.Port(), noTransport{})}
	t.Cleanup(other.nexus.Close)
	other.map_([]scsi.Mapping{{LUN: 1, Unit: s.units[1]}})
	out := func(action, kind byte, key, newKey byte) {
		t.Helper()
		p := make([]byte, 24)
		p[7], p[15] = key, newKey
		if task := other.run(1, []byte{0x5f, action, kind, 0, 0, 0, 0, 0, 24, 0}, p); task.Status != scsi.Good {
			t.Fatalf("PERSISTENT RESERVE OUT: status %#x, sense %+v", task.Status, task.Sense)
		}
	}
	out(0, 0, 0, 5) // REGISTER
	out(1, 1, 5, 0) // RESERVE, write exclusive
	close(store.release)
	if task := <-ended; task.Status != scsi.CheckCondition || task.Sense.Key != scsi.CopyAborted {
		t.Errorf("status %#x, sense %+v", task.Status, task.Sense)
	}
	got := make([]byte, 1)
	if _, err := store.Memory.ReadAt(got, 2*mib); err != nil || got[0] != 0 {
		t.Errorf("the copy went on: %v", err)
	}
}
