package iscsi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
	"github.com/esos-project/esos/scsi/disk"
)

// awayFrom is where on the test disk I/O goes through the queue, if it does.
const awayFrom = diskSize / 2

// Direct implements backing.Async on the upper half of the disk.
func (s *slowStore) Direct(off int64, n int, _ bool) (int, bool) {
	return 0, s.away.Load() && off >= awayFrom && off%blockSize == 0 && n%blockSize == 0
}

// kernel is a queue whose requests are carried out when the test says so.
type kernel struct {
	store *slowStore

	mu      sync.Mutex
	changed sync.Cond
	added   []request // not submitted
	out     []request
	done    []backing.Done
	held    bool          // requests stay out until let go
	late    time.Duration // after which they are carried out otherwise
	undone  bool          // let go of without being carried out
	socket  any           // who watches
	closed  bool
}

type request struct {
	owner any
	write bool
	p     []byte
	off   int64
}

// heldBack has the rig's connections use a kernel, on the upper half of the disk.
func heldBack(r *rig) *kernel {
	k := newKernel(r)
	r.server.newQueue = func(int) (queue, error) { return k, nil }
	r.store.away.Store(true)
	return k
}

func newKernel(r *rig) *kernel {
	k := &kernel{store: r.store}
	k.changed.L = &k.mu
	return k
}

func (k *kernel) Add(owner any, _ int, write bool, p []byte, off int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.added = append(k.added, request{owner, write, p, off})
	return true
}

func (k *kernel) Submit() []backing.Done {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.out, k.added = append(k.out, k.added...), nil
	if k.late > 0 {
		time.AfterFunc(k.late, func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.work()
		})
		return nil
	}
	k.work()
	return nil
}

// work carries out what is out, unless it is held.
func (k *kernel) work() {
	if k.held {
		return
	}
	for _, r := range k.out {
		var err error
		switch {
		case k.undone:
		case r.write:
			_, err = k.store.Memory.WriteAt(r.p, r.off)
		default:
			_, err = k.store.Memory.ReadAt(r.p, r.off)
		}
		k.done = append(k.done, backing.Done{Owner: r.owner, OK: err == nil && !k.undone})
	}
	k.out = nil
	k.changed.Broadcast()
}

func (k *kernel) Watch(owner any, socket int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.socket = owner
	go func() {
		for {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN | unix.POLLRDHUP}}, 20)
			k.mu.Lock()
			over := n != 0 || k.closed
			if n != 0 && !k.closed {
				k.done = append(k.done, backing.Done{Owner: k.socket, OK: true})
				k.changed.Broadcast()
			}
			k.mu.Unlock()
			if over {
				return
			}
		}
	}()
	return true
}

func (k *kernel) Reap(wait bool) []backing.Done {
	k.mu.Lock()
	defer k.mu.Unlock()
	for wait && len(k.done) == 0 {
		k.changed.Wait()
	}
	done := k.done
	k.done = nil
	return done
}

func (k *kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.out) > 0 || len(k.added) > 0 {
		return fmt.Errorf("%d requests are out, %d waiting", len(k.out), len(k.added))
	}
	k.closed = true
	return nil
}

func (k *kernel) hold(held bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = held
	k.work()
}

// await waits until n requests are out.
func (k *kernel) await(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		out := len(k.out)
		k.mu.Unlock()
		if out == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d requests are out, want %d", out, n)
		}
	}
}

const awayLBA = awayFrom / blockSize

func TestAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		keys   []wire.Pair
		blocks int
		undone bool
	}{
		{name: "short", blocks: 8},
		{name: "short, digests", blocks: 8, keys: digests},
		{name: "long", blocks: 1000},
		{name: "longer than the queue takes", blocks: 4096},
		{name: "small Data-In", blocks: 100, keys: []wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "512"}, {Key: "MaxBurstLength", Value: "2048"}}},
		{name: "one PDU", blocks: 256, keys: []wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "262144"}}},
		{name: "some PDUs, digests", blocks: 512, keys: append([]wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "65536"}}, digests...)},
		{name: "PDUs that do not fill bursts", blocks: 256,
			keys: append([]wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "20480"}, {Key: "MaxBurstLength", Value: "51200"}}, digests...)},
		{name: "not carried out", blocks: 8, undone: true},
		{name: "long, not carried out", blocks: 256, undone: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			k := heldBack(r)
			k.undone = c.undone
			i := r.login(1, c.keys...)
			data := pattern(c.blocks*blockSize, byte(c.blocks))
			if got := i.writeAll(awayLBA, data, 0, 0); got != byte(scsi.Good) {
				t.Fatalf("write: status %02x", got)
			}
			i.write(i.read(awayLBA, c.blocks))
			if got := i.collect(i.itt, len(data)); !bytes.Equal(got, data) {
				t.Error("what was read is not what was written")
			}
			if n := r.server.budget.used.Load(); n != 0 {
				t.Errorf("%d bytes of memory are still taken", n)
			}
		})
	}
}

// Data is sent from where it was read to, however slowly the initiator takes it.
func TestUnreadAway(t *testing.T) {
	onePDU := []wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "131072"}}
	for name, c := range map[string]struct {
		options Options
		keys    []wire.Pair
	}{
		"much queued":            {keys: onePDU},
		"little queued":          {options: Options{MaxQueuedBytes: 64 << 10}, keys: onePDU},
		"some PDUs, digests":     {keys: append([]wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "20480"}}, digests...)},
		"little queued, digests": {options: Options{MaxQueuedBytes: 64 << 10}, keys: append(onePDU, digests...)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.options)
			heldBack(r)
			i := r.login(1, c.keys...)
			// The sockets take little: much has to be sent in pieces.
			here := int(r.server.list()[0].conn.sock.fd)
			if err := errors.Join(i.conn.(*net.TCPConn).SetReadBuffer(16<<10),
				unix.SetsockoptInt(here, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10)); err != nil {
				t.Fatal(err)
			}
			const blocks, reads = 240, 16
			data := pattern((blocks+reads)*blockSize, 5)
			if _, err := r.store.Memory.WriteAt(data, awayFrom); err != nil {
				t.Fatal(err)
			}
			for range 8 {
				first := i.itt + 1
				for n := range reads {
					i.write(i.read(awayLBA+n, blocks))
				}
				time.Sleep(5 * time.Millisecond)
				for n := range reads {
					if got := i.collect(first+uint32(n), blocks*blockSize); !bytes.Equal(got, data[n*blockSize:][:len(got)]) {
						t.Fatalf("read %d is not what is there", n)
					}
				}
			}
			if n := r.server.budget.used.Load(); n != 0 {
				t.Errorf("%d bytes of memory are still taken", n)
			}
		})
	}
}

// The initiator has room for less than the command reads.
func TestLittleRoomAway(t *testing.T) {
	r := newRig(t, Options{})
	heldBack(r)
	i := r.login(1, append([]wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "65536"}}, digests...)...)
	data := pattern(256*blockSize, 5)
	if _, err := r.store.Memory.WriteAt(data, awayFrom); err != nil {
		t.Fatal(err)
	}
	for _, room := range []int{100_000, 99_999, 3} {
		i.write(i.command(rw16(0x88, awayLBA, 256), wire.FlagFinal|wire.FlagRead, room, nil))
		var got []byte
		for p := i.receive(); ; p = i.receive() {
			got = append(got, p.body...)
			if p.Flags()&wire.FlagStatus == 0 {
				continue
			}
			i.expStatSN = p.StatSN() + 1
			if p.Status() != byte(scsi.Good) || p.Flags()&wire.FlagOverflow == 0 || p.Residual() != uint32(len(data)-room) {
				t.Errorf("room for %d: status %02x, flags %02x, residual %d", room, p.Status(), p.Flags(), p.Residual())
			}
			break
		}
		if !bytes.Equal(got, data[:room]) {
			t.Errorf("room for %d: got %d bytes, or others", room, len(got))
		}
	}
}

// What is out does not hold up what came after it.
func TestAwayIsOvertaken(t *testing.T) {
	r := newRig(t, Options{})
	k := heldBack(r)
	i := r.login(1)
	k.hold(true)
	i.write(i.read(awayLBA, 8))
	slow := i.itt
	k.await(t, 1)
	for range 3 {
		i.write(i.read(0, 8))
		i.collect(i.itt, 8*blockSize)
	}
	k.hold(false)
	i.collect(slow, 8*blockSize)
}

// An aborted task is answered for when it has come back, and not before.
func TestAbortAway(t *testing.T) {
	for _, f := range []wire.TMF{wire.TMFAbortTask, wire.TMFLUNReset} {
		t.Run(f.String(), func(t *testing.T) { abortAway(t, f) })
	}
}

func abortAway(t *testing.T, f wire.TMF) {
	r := newRig(t, Options{})
	k := heldBack(r)
	i := r.login(1)
	k.hold(true)
	i.write(i.read(awayLBA, 8))
	k.await(t, 1)
	i.write(i.tmf(f, i.itt, i.cmdSN-1))
	if err := i.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := i.conn.Read(make([]byte, 1)); n > 0 || !os.IsTimeout(err) {
		t.Fatalf("answered although the task is out: %v", err)
	}
	if err := i.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	k.hold(false)
	if p := i.receive(); p.Opcode() != wire.OpTMFResponse || p.Response() != wire.TMFComplete {
		t.Errorf("%s, response %d", p.Opcode(), p.Response())
	}
}

// A Logout is answered when what is out has come back: after a LOGICAL UNIT
// RESET that waits for it, too, and when it leaves the session as it is.
func TestLogoutWithTasksAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		logout wire.LogoutRequest
		reset  bool
		want   byte
	}{
		{"session", wire.LogoutRequest{Reason: wire.LogoutCloseSession}, false, wire.LogoutDone},
		{"session, after a reset", wire.LogoutRequest{Reason: wire.LogoutCloseSession}, true, wire.LogoutDone},
		{"session, during a reset", wire.LogoutRequest{Immediate: true, Reason: wire.LogoutCloseSession}, true, wire.LogoutDone},
		{"for recovery, during a reset", wire.LogoutRequest{Immediate: true, Reason: wire.LogoutForRecovery}, true, wire.LogoutRecoveryNotSupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			k := heldBack(r)
			i := r.login(1)
			k.hold(true)
			i.write(i.write16(awayLBA, 8, make([]byte, 8*blockSize)))
			k.await(t, 1)
			var h wire.BHS
			if c.reset {
				i.write(i.tmf(wire.TMFLUNReset, wire.NoTag, 0))
			}
			c.logout.ITT, c.logout.CmdSN = 77, i.cmdSN
			c.logout.Put(&h)
			i.send(&h, nil)
			time.Sleep(20 * time.Millisecond)
			k.hold(false)
			p := i.receive()
			if c.reset && p.Opcode() == wire.OpTMFResponse {
				p = i.receive()
			}
			if p.Opcode() != wire.OpLogoutResponse || p.Response() != c.want {
				t.Errorf("%s, response %d", p.Opcode(), p.Response())
			}
		})
	}
}

// A connection that is lost waits for what is out: the kernel has its memory.
func TestLostWithTasksAway(t *testing.T) {
	r := newRig(t, Options{})
	k := heldBack(r)
	i := r.login(1)
	k.hold(true)
	for n := range 3 {
		i.write(i.read(awayLBA+8*n, 8))
	}
	k.await(t, 3)
	_ = i.conn.Close()
	time.Sleep(50 * time.Millisecond)
	if n := len(r.server.Sessions()); n != 1 {
		t.Fatalf("%d sessions while the kernel has memory of one", n)
	}
	k.hold(false)
	r.event(SessionClosed)
	if n := r.server.budget.used.Load(); n != 0 {
		t.Errorf("%d bytes of memory are still taken", n)
	}
	if !k.isClosed() {
		t.Error("its queue is still there")
	}
}

// An initiator that does not read holds up nobody who wants the same blocks
// for itself.
func TestUnreadWithTasksAway(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 64 << 10})
	k := heldBack(r)
	i, other := r.login(1), r.login(2)
	k.hold(true)
	i.write(i.read(awayLBA, 8))
	k.await(t, 1)
	// It asks for much that is there at once, and reads none of it.
	for range 100 {
		i.write(i.read(0, 2048))
	}
	time.Sleep(50 * time.Millisecond)
	k.hold(false)
	both := make([]byte, 2*blockSize)
	cdb := make([]byte, 16)
	cdb[0], cdb[13] = 0x89, 1 // COMPARE AND WRITE
	copy(cdb[2:], rw16(0, awayLBA, 0)[2:10])
	other.write(other.command(cdb, wire.FlagFinal|wire.FlagWrite, len(both), both))
	if p := other.response(other.itt); p.Status() != byte(scsi.Good) {
		t.Errorf("status %02x, sense % x", p.Status(), p.body)
	}
}

// A queue that is not used for long is given up, and made again when needed.
func TestIdleQueueIsGivenUp(t *testing.T) {
	r := newRig(t, Options{})
	k := heldBack(r)
	var made atomic.Int32
	r.server.newQueue = func(int) (queue, error) { made.Add(1); return k, nil }
	i := r.login(1)
	for range 2 {
		i.write(i.read(awayLBA, 8))
		i.collect(i.itt, 8*blockSize)
	}
	c := r.server.list()[0].conn
	c.tidyAway(r.server.clock())
	if k.isClosed() {
		t.Fatal("given up at once")
	}
	for end := time.Now().Add(10 * time.Second); !k.isClosed(); time.Sleep(time.Millisecond) {
		if c.tidyAway(r.server.clock() + 2*awayIdle); time.Now().After(end) {
			t.Fatal("an idle queue stays")
		}
	}
	i.write(i.read(awayLBA, 8))
	i.collect(i.itt, 8*blockSize)
	if n := made.Load(); n != 2 {
		t.Errorf("%d queues were made, want 2", n)
	}
}

func (k *kernel) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// TestAwayOnDisk is the real queue, on a file past the page cache.
func TestAwayOnDisk(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "disk.img"), os.O_RDWR|os.O_CREATE|unix.O_DIRECT, 0o600)
	if err != nil {
		t.Fatalf("the temporary directory's file system takes no O_DIRECT: %v", err)
	}
	if err := f.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	store, err := backing.NewFile(f, backing.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.WriteAt(make([]byte, diskSize), 0); err != nil {
		t.Fatal(err)
	}
	d, err := disk.New(store, disk.Options{BlockSize: blockSize})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	r := newRig(t, Options{})
	u := scsi.NewUnit(scsi.Identity{Name: "d1", Vendor: "ESOS", Product: "test", Revision: "1", Serial: "2", NAA: 0x3000000000000002}, d)
	r.scsi.DeleteLUN("", 0)
	if err := r.scsi.PutLUN("", scsi.Mapping{LUN: 0, Unit: u}); err != nil {
		t.Fatal(err)
	}
	i := r.login(9)
	data := pattern(600*blockSize, 9)
	if s := i.writeAll(0, data, 0, 0); s != 0 {
		t.Fatalf("write: status %02x", s)
	}
	i.write(i.read(0, 600))
	if got := i.collect(i.itt, len(data)); !bytes.Equal(got, data) {
		t.Error("what was read is not what was written")
	}
	for _, write := range []bool{false, true} {
		l := newLoad(r, byte(1+len(r.server.Sessions())), write, 32, 8)
		for range 50 {
			if err := l.round(); err != nil {
				t.Fatal(err)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const rounds = 100
		for range rounds {
			if err := l.round(); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > rounds*32/50 && n > 100 && !underRace {
			t.Errorf("%d allocations for %d commands (write %t)", n, rounds*32, write)
		}
	}
	if !usedAway(r) {
		t.Error("nothing went through the queue: this shows nothing of it")
	}
}

func usedAway(r *rig) bool {
	for _, x := range r.server.list() {
		x.conn.mu.Lock()
		used := x.conn.away.used
		x.conn.mu.Unlock()
		if used > 0 {
			return true
		}
	}
	return false
}
