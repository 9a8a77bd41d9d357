package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/scsi"
	"github.com/esos-project/esos/scsi/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a process in the test's own, so that the race detector sees it.
type rig struct {
	*Process
	t      testing.TB
	events chan control.Event
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, events: make(chan control.Event, 10000)}
	r.Process = New(Options{
		Log: slog.New(slog.DiscardHandler), StateDir: t.TempDir(), Build: "test",
		Publish: func(e control.Event) {
			select {
			case r.events <- e:
			default:
			}
		},
	})
	t.Cleanup(func() {
		r.Stop(context.Background())
		for _, d := range r.devices {
			if err := d.close(); err != nil {
				t.Errorf("close device: %v", err)
			}
		}
	})
	return r
}

// do makes a request as the daemon would.
func (r *rig) do(op string, in any, files ...*os.File) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = r.Handle(context.Background(), op, body, files)
	return err
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) file(name string, size int64) *os.File {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	r.ok(err)
	r.ok(f.Truncate(size))
	return f
}

const (
	iqn   = "iqn.2026-11.org.esos-project:process"
	alice = "iqn.1993-08.org.debian:01:alice"
)

// serve puts a memory disk as LUN 0 of a target, and a portal.
func (r *rig) serve() string {
	r.t.Helper()
	r.ok(r.do(control.OpPutDevice, control.Device{Name: "mem", Handler: memory, Size: 1 << 20, BlockSize: 512}))
	r.ok(r.do(control.OpPutTarget, control.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
	r.ok(r.do(control.OpPutLUN, control.LUNRequest{Map: control.Map{Target: iqn}, LUN: control.LUN{LUN: 0, Device: "mem"}}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.ok(err)
	f, err := l.(*net.TCPListener).File()
	r.ok(err)
	r.ok(r.do(control.OpPutPortal, control.Portal{Name: "p", Address: "127.0.0.1:0", Group: 1}, f))
	r.ok(l.Close())
	return r.observe().Portals[0].Bound
}

// TestChangesUnderLoad changes everything at once, while initiators come, do
// I/O and go.
func TestChangesUnderLoad(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var io atomic.Int64
	var wg sync.WaitGroup
	loop := func(f func(i int) error) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := f(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 3 {
		loop(func(i int) error {
			s, err := initiator.Login(ctx, initiator.Options{Address: at, Target: iqn, Initiator: fmt.Sprintf("%s%d", alice, n), ISID: uint32(n)})
			if err != nil {
				// A dial looks at the clock, and is earlier than the timer.
				if end, _ := ctx.Deadline(); !time.Now().Before(end) {
					return nil
				}
				return err
			}
			defer s.Close()
			for range 20 {
				res, err := s.Do(0, []byte{0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0}, nil, 4096)
				if err != nil || res.Status != 0 && res.Key() != initiator.KeyUnitAttention {
					return fmt.Errorf("read: status %#x, key %x, code %04x: %w", res.Status, res.Key(), res.Code(), err)
				}
				// LUN 1 comes and goes: any end of the command is fine.
				if _, err := s.Do(1, make([]byte, 6), nil, 0); err != nil {
					return err
				}
				io.Add(1)
			}
			return nil
		})
	}
	loop(func(i int) error {
		name := fmt.Sprintf("d%d", i%3)
		if err := r.do(control.OpPutDevice, control.Device{Name: name, Handler: memory, Size: 1 << 20, BlockSize: 512}); err != nil {
			return err
		}
		m := control.LUNRequest{Map: control.Map{Target: iqn}, LUN: control.LUN{LUN: 1, Device: name}}
		if err := r.do(control.OpPutLUN, m); err != nil {
			return err
		}
		if err := r.do(control.OpDeleteDevice, control.Name{Name: name}); !control.Is(err, control.InUse) {
			return fmt.Errorf("deletion of a mapped device: %w", err)
		}
		if err := r.do(control.OpDeleteLUN, m); err != nil {
			return err
		}
		return r.do(control.OpDeleteDevice, control.Name{Name: name})
	})
	loop(func(i int) error {
		g := control.GroupRequest{Target: iqn, Group: control.Group{Name: "g", Initiators: []string{fmt.Sprint("iqn.x", i)}}}
		return errors.Join(r.do(control.OpPutGroup, g), r.do(control.OpDeleteGroup, control.Map{Target: iqn, Group: "g"}),
			r.do(control.OpPutTarget, control.Target{Name: iqn, Alias: fmt.Sprint(i), RelativeIDs: map[int]int{1: 1}}))
	})
	loop(func(i int) error {
		state := []string{"active", "nonoptimized"}[i%2]
		return r.do(control.OpPutDeviceGroup, control.DeviceGroup{Name: "dg", Devices: []string{"mem", "d1"}, TargetGroups: []control.TargetGroup{
			{Name: "tg", ID: 1, State: state, Targets: []control.GroupTarget{{Name: iqn}}},
		}})
	})
	loop(func(int) error {
		_, err := json.Marshal(r.observe())
		r.sessions()
		r.statistics()
		return err
	})
	wg.Wait()
	if io.Load() == 0 {
		t.Error("no I/O was done")
	}
}

// TestRefusalsLeakNothing: descriptors of requests that are refused are closed.
func TestRefusalsLeakNothing(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	r.ok(r.do(control.OpPutDevice, control.Device{Name: "f", Handler: fileIO, BlockSize: 512}, r.file("f", 1<<20)))
	before := descriptors(t)
	for name, c := range map[string]struct {
		op string
		in any
	}{
		"unknown request":         {"device.polish", nil},
		"unknown handler":         {control.OpPutDevice, control.Device{Name: "x", Handler: "dev_none"}},
		"no block":                {control.OpPutDevice, control.Device{Name: "x", Handler: memory, BlockSize: 512}},
		"odd block size":          {control.OpPutDevice, control.Device{Name: "x", Handler: fileIO, BlockSize: 1000}},
		"bad NAA":                 {control.OpPutDevice, control.Device{Name: "x", Handler: fileIO, BlockSize: 512, Identity: control.Identity{NAA: "xyz"}}},
		"changed block size":      {control.OpPutDevice, control.Device{Name: "f", Handler: fileIO, BlockSize: 4096}},
		"a file as a portal":      {control.OpPutPortal, control.Portal{Name: "q", Address: "x"}},
		"moved portal":            {control.OpPutPortal, control.Portal{Name: "p", Address: at, Group: 2}},
		"not even JSON of a kind": {control.OpPutDevice, []int{1}},
		"a change without file":   {control.OpDeleteDevice, control.Name{Name: "none"}},
	} {
		err := r.do(c.op, c.in, r.file("y", 1<<20))
		if err == nil && name != "a change without file" {
			t.Errorf("%s: nobody refused it", name)
		}
	}
	// Stores give their descriptor's number back when they are collected.
	after := 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		runtime.GC()
		if after = descriptors(t); after == before {
			return
		}
	}
	t.Errorf("%d descriptors before, %d after", before, after)
}

func descriptors(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

// TestInitiatorsSetStates: what one initiator sets for one device holds for
// the whole device group, and the daemon hears of it.
func TestInitiatorsSetStates(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	r.ok(r.do(control.OpPutDevice, control.Device{Name: "other", Handler: memory, Size: 1 << 20, BlockSize: 512}))
	r.ok(r.do(control.OpPutLUN, control.LUNRequest{Map: control.Map{Target: iqn}, LUN: control.LUN{LUN: 1, Device: "other"}}))
	r.ok(r.do(control.OpPutDeviceGroup, control.DeviceGroup{Name: "dg", Devices: []string{"mem", "other"}, TargetGroups: []control.TargetGroup{
		{Name: "here", ID: 5, State: "active", Targets: []control.GroupTarget{{Name: iqn}}},
	}}))
	s, err := initiator.Login(t.Context(), initiator.Options{Address: at, Target: iqn, Initiator: alice})
	r.ok(err)
	defer s.Close()
	for lun := range uint16(2) {
		_, err = s.Attentions(lun)
		r.ok(err)
	}
	// SET TARGET PORT GROUPS: group 5 becomes standby.
	_, err = s.Must("SET TARGET PORT GROUPS", 0, []byte{0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}, []byte{0, 0, 0, 0, byte(scsi.Standby), 0, 0, 5}, 0)
	r.ok(err)
	if got := r.observe().DeviceGroups[0].TargetGroups[0].State; got != "standby" {
		t.Errorf("the state is %s, want standby", got)
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		res, err := s.Do(1, []byte{0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, nil, 512)
		r.ok(err)
		if res.Code() == 0x040b { // TARGET PORT IN STANDBY STATE
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the other device of the group is not in standby: code %04x", res.Code())
		}
	}
	for {
		select {
		case e := <-r.events:
			if e.Kind == "alua.changed" {
				if e.Object != "dg" || e.Detail["here"] != "standby" {
					t.Errorf("event: %+v", e)
				}
				return
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no event alua.changed")
		}
	}
}

func TestJournalIsMadeWhenItIsWritten(t *testing.T) {
	dir := t.TempDir()
	spec := control.Device{Name: "d", Path: "/a"}
	j, err := newJournal(dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Repeat([]byte{1}, 8)
	if _, err := j.ReadAt(b, 4096); err != nil || !bytes.Equal(b, make([]byte, 8)) {
		t.Errorf("an unwritten journal reads % x, %v", b, err)
	}
	if err := j.Sync(); err != nil {
		t.Error(err)
	}
	if l, _ := os.ReadDir(dir); len(l) != 0 {
		t.Errorf("files: %v", l)
	}
	if _, err := j.WriteAt([]byte("begun"), 100); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Sync(), j.Close()); err != nil {
		t.Error(err)
	}
	again, err := newJournal(dir, spec)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := again.ReadAt(got, 100); err != nil || string(got) != "begun" || again.Size() != disk.JournalSize {
		t.Errorf("read %q, %v; %d bytes", got, err, again.Size())
	}
	// The journal of one store is not another's.
	other, err := newJournal(dir, control.Device{Name: "d", Path: "/b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ReadAt(got, 100); err != nil || string(got) == "begun" {
		t.Errorf("another store's journal reads %q, %v", got, err)
	}
	if err := errors.Join(again.Close(), again.remove(), other.remove()); err != nil {
		t.Error(err)
	}
}

// TestDamagedReservationsKeepTheDeviceAway: served without them it would let
// in whom they kept out.
func TestDamagedReservationsKeepTheDeviceAway(t *testing.T) {
	r := newRig(t)
	r.ok(os.WriteFile(filepath.Join(r.opt.StateDir, "f.reservation"), []byte("esos-reservation 1 sha256:00\n{}"), 0o600))
	err := r.do(control.OpPutDevice, control.Device{Name: "f", Handler: fileIO, BlockSize: 512}, r.file("f", 1<<20))
	if err == nil || !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), "remove their file") {
		t.Errorf("put a device whose reservations are damaged: %v", err)
	}
}

func TestLogGoesToTheDaemon(t *testing.T) {
	var got control.Event
	log := NewLog(func(e control.Event) { got = e })
	log.With("portal", "p").WithGroup("g").Warn("something", "n", 5, "err", io.EOF)
	got.Time = time.Time{}
	want := control.Event{Message: "something", Log: "WARN", Detail: map[string]string{"portal": "p", "g.n": "5", "g.err": "EOF"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// FuzzHandle makes requests of whatever the socket brings: none may panic, and
// the process must be able to tell what it serves afterwards.
func FuzzHandle(f *testing.F) {
	ops := []string{
		control.OpPutDevice, control.OpDeleteDevice, control.OpPutTarget, control.OpDeleteTarget, control.OpPutGroup, control.OpDeleteGroup,
		control.OpPutLUN, control.OpDeleteLUN, control.OpPutDeviceGroup, control.OpDeleteDeviceGroup, control.OpPutDiscovery,
		control.OpPutPortal, control.OpDeletePortal, control.OpCloseSession, control.OpObserve, control.OpStatistics,
	}
	f.Add(byte(0), []byte(`{"name":"m","handler":"vdisk_memory","size":1048576,"block_size":512}`))
	f.Add(byte(0), []byte(`{"name":"mem","handler":"vdisk_memory","size":2097152,"block_size":512}`))
	f.Add(byte(0), []byte(`{"name":"huge","handler":"vdisk_memory","size":9223372036854775807,"block_size":512}`))
	f.Add(byte(0), []byte(`{"name":"mem","handler":"vdisk_memory","size":9223372036854775807,"block_size":512}`))
	f.Add(byte(0), []byte(`{"name":"neg","handler":"vdisk_nullio","size":-1,"block_size":512}`))
	f.Add(byte(2), []byte(`{"name":"iqn.2026-11.x:t","relative_ids":{"1":7},"auth":{"users":[{"name":"u","secret":"abcdefghijkl"}],"algorithms":["MD5"]}}`))
	f.Add(byte(4), []byte(`{"target":"`+iqn+`","group":{"name":"g","initiators":["*","!a?"]}}`))
	f.Add(byte(6), []byte(`{"target":"`+iqn+`","lun":{"lun":5,"device":"mem"}}`))
	f.Add(byte(7), []byte(`{"target":"`+iqn+`","lun":{"lun":0}}`))
	f.Add(byte(8), []byte(`{"name":"dg","devices":["mem"],"target_groups":[{"name":"a","id":1,"state":"standby","targets":[{"name":"`+iqn+`"}]}]}`))
	f.Fuzz(func(t *testing.T, op byte, body []byte) {
		r := newRig(t)
		r.ok(r.do(control.OpPutDevice, control.Device{Name: "mem", Handler: memory, Size: 1 << 20, BlockSize: 512}))
		r.ok(r.do(control.OpPutTarget, control.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
		r.ok(r.do(control.OpPutLUN, control.LUNRequest{Map: control.Map{Target: iqn}, LUN: control.LUN{LUN: 0, Device: "mem"}}))
		_, _ = r.Handle(t.Context(), ops[int(op)%len(ops)], body, nil)
		if _, err := json.Marshal(r.observe()); err != nil {
			t.Error(err)
		}
	})
}
