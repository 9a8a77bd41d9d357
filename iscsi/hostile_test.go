package iscsi

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// alive checks that another initiator is still served.
func (r *rig) alive(isid byte) {
	r.t.Helper()
	if s := r.login(isid).testUnitReady(); s != byte(scsi.Good) {
		r.t.Fatalf("another initiator gets status %02x", s)
	}
}

// Immediate commands take no place in the CmdSN window. However many of them
// there are, those in the window find their place in the task table.
func TestImmediateCommandsLeaveRoom(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	window := r.config.Offer.Window
	for range window + 2*extraTasks {
		b := i.write16(0, 8, nil)
		b[0] |= 0x40 // immediate
		i.cmdSN--
		i.write(b)
	}
	for range extraTasks {
		if p := i.receive(); p.Opcode() != wire.OpR2T {
			t.Fatalf("got %s", p.Opcode())
		}
	}
	for range window + extraTasks {
		if p := i.receive(); p.Opcode() != wire.OpReject || p.RejectReason() != wire.RejectTooManyImmed {
			t.Fatalf("got %s", p.Opcode())
		}
	}
	for range window {
		i.write(i.write16(0, 8, nil))
		if p := i.receive(); p.Opcode() != wire.OpR2T {
			t.Fatalf("got %s", p.Opcode())
		}
	}
	r.alive(2)
}

// A write whose immediate data is received straight into its buffer has to be
// in the CmdSN window like every other command.
func TestLandingKeepsToTheWindow(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	data := pattern(16<<10, 1)
	for range r.config.Offer.Window + 2*extraTasks {
		b := i.write16(0, 64, data)
		i.write(b[:1000])
		time.Sleep(time.Millisecond) // so that it comes in two pieces
		i.write(b[1000:])
	}
	for range r.config.Offer.Window {
		if p := i.receive(); p.Opcode() != wire.OpR2T {
			t.Fatalf("got %s", p.Opcode())
		}
	}
	c := r.server.list()[0].conn
	c.mu.Lock()
	inflight := c.inflight
	c.mu.Unlock()
	if inflight != c.window {
		t.Errorf("%d commands are outstanding, the window has %d", inflight, c.window)
	}
	r.alive(2)
}

// An ABORT TASK for a command that never came may come twice.
func TestAbortOfUnseenCommandTwice(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	for _, tag := range []uint32{0, 0, wire.NoTag, 7} {
		var h wire.BHS
		wire.TMFRequest{Immediate: true, Function: wire.TMFAbortTask, ITT: 99, RefTag: tag, CmdSN: i.cmdSN + 2, RefCmdSN: i.cmdSN + 1}.Put(&h)
		i.send(&h, nil)
		if p := i.receive(); p.Opcode() != wire.OpTMFResponse || p.Response() != wire.TMFComplete {
			t.Fatalf("%s with response %d", p.Opcode(), p.Response())
		}
	}
	if s := i.testUnitReady(); s != byte(scsi.Good) {
		t.Errorf("status %02x", s)
	}
	i.cmdSN++ // the command counts as received
	if s := i.testUnitReady(); s != byte(scsi.Good) {
		t.Errorf("status %02x", s)
	}
}

// Memory for a write is given back, also when its initiator goes away in the
// middle of a Data-Out.
func TestMemoryOfBrokenDataOut(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	data := pattern(64<<10, 3)
	i.write(i.write16(0, 128, nil))
	p := i.receive()
	if p.Opcode() != wire.OpR2T {
		t.Fatalf("got %s", p.Opcode())
	}
	b := i.dataOut(p.ITT(), p.TTT(), 0, 0, data, true)
	i.write(b[:len(b)/2])
	time.Sleep(20 * time.Millisecond) // it is being received into its buffer
	if r.server.budget.used.Load() == 0 {
		t.Fatal("the write has no buffer")
	}
	_ = i.conn.Close()
	r.event(SessionClosed)
	if n := r.server.budget.used.Load(); n != 0 {
		t.Errorf("%d bytes of the budget for writes stay taken", n)
	}
}

// The answer to a Logout says that all tasks have ended: a write that came
// before it is not carried out behind the next session's back.
func TestLogoutWaitsForWrites(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	r.store.slow.Store(true)
	i.write(i.write16(0, 1, pattern(blockSize, 1)))
	<-r.store.entered
	var h wire.BHS
	wire.LogoutRequest{Reason: wire.LogoutCloseSession, ITT: 77, CmdSN: i.cmdSN}.Put(&h)
	i.send(&h, nil)
	if err := i.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := i.conn.Read(make([]byte, 1)); n > 0 {
		t.Error("the logout is answered while a write is being carried out")
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	close(r.store.open)
	if err := i.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if p := i.receive(); p.Opcode() != wire.OpLogoutResponse {
		t.Errorf("got %s", p.Opcode())
	}
}

// A LUN that is taken away is let go of also by a read whose initiator does not
// take its data.
func TestUnmapUnderStalledRead(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 64 << 10})
	i := r.login(1)
	path := r.server.list()[0].nexus.Paths()[0]
	i.write(i.read(0, diskSize/blockSize))
	c := r.server.list()[0].conn
	stalled := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.tx.full()
	}
	for end := time.Now().Add(10 * time.Second); !stalled(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the socket takes everything")
		}
	}
	time.Sleep(20 * time.Millisecond)
	if path.Active() == 0 {
		t.Fatal("no read is under way")
	}
	r.scsi.DeleteLUN("", 0)
	if n := path.Active(); n > 0 {
		t.Errorf("%d tasks go on", n)
	}
}
