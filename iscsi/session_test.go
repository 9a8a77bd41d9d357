package iscsi

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// Commands are carried out in the order of CmdSN; duplicates and what is
// outside of the window are ignored (RFC 7143 4.2.2.1).
func TestCmdSN(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	first := i.command([]byte{0}, wire.FlagFinal, 0, nil)
	second := i.write16(0, 8, make([]byte, 4096))
	third := i.command([]byte{0}, wire.FlagFinal, 0, nil)
	tag := i.itt
	i.write(third)
	i.write(second)
	i.write(second) // a duplicate of a held one
	ping(i)         // an immediate command does not wait
	i.write(first)
	for k := range uint32(3) {
		i.response(tag - 2 + k)
	}
	i.write(first) // a duplicate
	far := i.cmdSN
	i.cmdSN = i.maxCmdSN + 1
	i.write(i.command([]byte{0}, wire.FlagFinal, 0, nil)) // beyond the window
	i.cmdSN = far
	if s := i.testUnitReady(); s != 0 {
		t.Errorf("status %02x", s)
	}
}

// ping sends an immediate NOP-Out with data and wants it back.
func ping(i *initiator) {
	i.t.Helper()
	var h wire.BHS
	data := pattern(333, 1)
	wire.NOPOut{Immediate: true, DataLength: len(data), ITT: 0x1000, TTT: wire.NoTag, CmdSN: i.cmdSN}.Put(&h)
	i.send(&h, data)
	if p := i.receive(); p.Opcode() != wire.OpNOPIn || p.ITT() != 0x1000 || !bytes.Equal(p.body, data) {
		i.t.Fatalf("got %s for task %x with %d bytes", p.Opcode(), p.ITT(), len(p.body))
	}
}

// Unsolicited data of a command that has to wait for its turn waits with it.
func TestHeldWrite(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1, wire.Pair{Key: "InitialR2T", Value: "No"})
	first := i.command([]byte{0}, wire.FlagFinal, 0, nil)
	i.write(i.command(rw16(0x8a, 0, 8), wire.FlagWrite, 4096, nil))
	data := pattern(4096, 5)
	i.write(i.dataOut(i.itt, wire.NoTag, 0, 0, data[:1024], false))
	i.write(i.dataOut(i.itt, wire.NoTag, 1, 1024, data[1024:], true))
	i.write(first)
	i.response(i.itt - 1)
	if p := i.response(i.itt); p.Status() != 0 {
		t.Fatalf("status %02x", p.Status())
	}
	i.write(i.read(0, 8))
	if got := i.collect(i.itt, 4096); !bytes.Equal(got, data) {
		t.Error("what was read is not what was written")
	}
}

func (i *initiator) tmf(f wire.TMF, ref, refCmdSN uint32) []byte {
	i.itt++
	var h wire.BHS
	wire.TMFRequest{Immediate: true, Function: f, ITT: i.itt, RefTag: ref, CmdSN: i.cmdSN, RefCmdSN: refCmdSN}.Put(&h)
	return i.encode(&h, nil)
}

func TestTaskManagement(t *testing.T) {
	for _, c := range []struct {
		name string
		f    wire.TMF
		want byte
		// aborts says that the blocked write is never answered.
		aborts bool
	}{
		{"ABORT TASK", wire.TMFAbortTask, wire.TMFComplete, true},
		{"ABORT TASK SET", wire.TMFAbortTaskSet, wire.TMFComplete, true},
		{"CLEAR TASK SET", wire.TMFClearTaskSet, wire.TMFComplete, true},
		{"LOGICAL UNIT RESET", wire.TMFLUNReset, wire.TMFComplete, true},
		{"TARGET WARM RESET", wire.TMFTargetWarmReset, wire.TMFComplete, true},
		{"TASK REASSIGN", wire.TMFTaskReassign, wire.TMFReassignNotSupported, false},
		{"QUERY TASK", wire.TMFQueryTask, wire.TMFNotSupported, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			i := r.login(1)
			r.store.slow.Store(true)
			sn := i.cmdSN
			i.write(i.write16(0, 8, make([]byte, 4096)))
			write := i.itt
			<-r.store.entered
			i.write(i.write16(8, 8, nil)) // waits for data
			ttt := i.receive().TTT()
			gathering := i.itt
			i.write(i.tmf(c.f, write, sn))
			tag := i.itt
			i.write(i.command([]byte{0}, wire.FlagFinal, 0, nil)) // a younger one is not hit
			younger := i.itt
			if c.aborts && c.f == wire.TMFAbortTask || !c.aborts {
				// The other write goes on.
				i.write(i.dataOut(gathering, ttt, 0, 0, make([]byte, 4096), true))
			}
			time.Sleep(10 * time.Millisecond)
			close(r.store.open)
			seen := map[uint32]byte{}
			for len(seen) < 2 || seen[tag] == 0xee {
				p := i.receive()
				switch p.Opcode() {
				case wire.OpTMFResponse:
					if p.ITT() != tag || p.Response() != c.want {
						t.Fatalf("response %d to task %d, want %d to %d", p.Response(), p.ITT(), c.want, tag)
					}
				case wire.OpSCSIResponse:
				default:
					t.Fatalf("got %s", p.Opcode())
				}
				if c.aborts && p.ITT() == write {
					t.Fatal("an aborted task was answered")
				}
				seen[p.ITT()] = p.Status()
				if _, ok := seen[tag]; ok {
					if _, ok := seen[younger]; ok {
						break
					}
				}
			}
			if n := r.server.budget.used.Load(); c.aborts && c.f != wire.TMFAbortTask && n != 0 {
				t.Errorf("%d bytes of the budget are still taken", n)
			}
		})
	}
	t.Run("ABORT TASK of nothing", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1)
		i.write(i.tmf(wire.TMFAbortTask, 0x4711, i.cmdSN-1))
		if p := i.receive(); p.Response() != wire.TMFNoTask {
			t.Errorf("response %d", p.Response())
		}
	})
	t.Run("ABORT TASK of one that never came", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1)
		sn := i.cmdSN
		i.command([]byte{0}, wire.FlagFinal, 0, nil) // gets lost
		i.write(i.tmf(wire.TMFAbortTask, i.itt, sn))
		if p := i.receive(); p.Response() != wire.TMFComplete {
			t.Errorf("response %d", p.Response())
		}
		if s := i.testUnitReady(); s != 0 {
			t.Errorf("status %02x", s)
		}
	})
}

// A login of the same initiator port ends the session before it, whose tasks
// are over when the login ends.
func TestReinstatement(t *testing.T) {
	r := newRig(t, Options{})
	old := r.login(1)
	r.store.slow.Store(true)
	old.write(old.write16(0, 8, make([]byte, 4096)))
	<-r.store.entered
	status := make(chan wire.LoginStatus)
	i := r.dial()
	go func() { status <- i.login(1, "Normal") }()
	select {
	case <-status:
		t.Fatal("the login ended before the old session's write")
	case <-time.After(50 * time.Millisecond):
	}
	close(r.store.open)
	if s := <-status; s != wire.LoginSuccess {
		t.Fatalf("login: %s", s)
	}
	old.closed()
	if n := len(r.server.Sessions()); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
}

func TestLogout(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason byte
		cid    uint16
		want   byte
	}{
		{"session", wire.LogoutCloseSession, 0, wire.LogoutDone},
		{"connection", wire.LogoutCloseConnection, 0, wire.LogoutDone},
		{"another connection", wire.LogoutCloseConnection, 5, wire.LogoutNoCID},
		{"for recovery", wire.LogoutForRecovery, 0, wire.LogoutRecoveryNotSupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			i := r.login(1)
			var h wire.BHS
			wire.LogoutRequest{Reason: c.reason, ITT: 77, CID: c.cid, CmdSN: i.cmdSN}.Put(&h)
			i.cmdSN++
			i.write(append(i.command([]byte{0}, wire.FlagFinal, 0, nil)[:0:0], i.encode(&h, nil)...))
			i.cmdSN = h.CmdSN() + 1
			if p := i.receive(); p.Opcode() != wire.OpLogoutResponse || p.Response() != c.want {
				t.Fatalf("%s with response %d, want %d", p.Opcode(), p.Response(), c.want)
			}
			if c.want == wire.LogoutDone {
				i.closed()
				r.event(SessionClosed)
			} else if s := i.testUnitReady(); s != 0 {
				t.Errorf("status %02x", s)
			}
		})
	}
}

// sendTargets asks for the text of SendTargets and joins its parts.
func (i *initiator) sendTargets(value string) wire.Text {
	i.t.Helper()
	data := wire.Text{{Key: "SendTargets", Value: value}}.Append(nil)
	ttt := uint32(wire.NoTag)
	var all []byte
	for {
		var h wire.BHS
		wire.TextRequest{Final: true, DataLength: len(data), ITT: 5, TTT: ttt, CmdSN: i.cmdSN}.Put(&h)
		i.cmdSN++
		i.send(&h, data)
		p := i.receive()
		if p.Opcode() != wire.OpTextResponse {
			i.t.Fatalf("got %s", p.Opcode())
		}
		all = append(all, p.body...)
		if p.Final() {
			break
		}
		ttt, data = p.TTT(), nil
	}
	var text wire.Text // ParseText takes no key twice
	for item := range strings.SplitSeq(strings.TrimSuffix(string(all), "\x00"), "\x00") {
		k, v, _ := strings.Cut(item, "=")
		if k != "" {
			text.Add(k, v)
		}
	}
	return text
}

func TestDiscovery(t *testing.T) {
	r := newRig(t, Options{})
	for _, name := range []string{"iqn.2026-01.test:hidden", "iqn.2026-01.test:off", "iqn.2026-01.test:also"} {
		c := r.config
		c.Name, c.Disabled = name, strings.HasSuffix(name, "off")
		if strings.HasSuffix(name, "hidden") {
			c.SCSI = scsi.NewTarget(name)
		}
		if err := r.server.PutTarget(c); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.server.AddPortal("p1", l, 1, "array.example:3260"); err != nil {
		t.Fatal(err)
	}
	want := func(name string) wire.Text {
		return wire.Text{{Key: "TargetName", Value: name}, {Key: "TargetAddress", Value: r.addr + ",1"},
			{Key: "TargetAddress", Value: "array.example:3260,1"}}
	}
	i := r.dial()
	if s := i.login(1, "Discovery", wire.Pair{Key: "MaxRecvDataSegmentLength", Value: "512"}); s != wire.LoginSuccess {
		t.Fatalf("login: %s", s)
	}
	all := append(want("iqn.2026-01.test:also"), want(targetName)...)
	if got := string(i.sendTargets("All").Append(nil)); got != string(all.Append(nil)) {
		t.Errorf("All: %q", got)
	}
	if got := string(i.sendTargets(targetName).Append(nil)); got != string(want(targetName).Append(nil)) {
		t.Errorf("by name: %q", got)
	}
	i.write(i.command([]byte{0}, wire.FlagFinal, 0, nil))
	if p := i.receive(); p.Opcode() != wire.OpReject {
		t.Errorf("a SCSI Command in a discovery session was answered with %s", p.Opcode())
	}
	n := r.login(2)
	if got := string(n.sendTargets("").Append(nil)); got != string(want(targetName).Append(nil)) {
		t.Errorf("in a normal session: %q", got)
	}
	if s := n.testUnitReady(); s != 0 {
		t.Errorf("status %02x", s)
	}
}

func TestRefusedLogins(t *testing.T) {
	r := newRig(t, Options{})
	put := func(change func(c *TargetConfig)) {
		c := r.config
		change(&c)
		if err := r.server.PutTarget(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(c *TargetConfig)
		want   wire.LoginStatus
	}{
		{"disabled", func(c *TargetConfig) { c.Disabled = true }, wire.LoginServiceUnavailable},
		{"redirected", func(c *TargetConfig) { c.Redirect = "10.0.0.1:3260" }, wire.LoginMovedTemporarily},
		{"nothing mapped", func(c *TargetConfig) { c.SCSI = scsi.NewTarget(targetName) }, wire.LoginForbidden},
		{"other portal", func(c *TargetConfig) { c.Portals = []string{"p9"} }, wire.LoginNotFound},
		{"other group", func(c *TargetConfig) { c.Ports = map[int]*scsi.Port{2: c.Ports[1]} }, wire.LoginNotFound},
		{"CHAP", func(c *TargetConfig) {
			c.Auth = func(string) login.Auth { return login.Auth{Required: true} }
		}, wire.LoginAuthFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			put(c.change)
			i := r.dial()
			if s := i.login(1, "Normal"); s != c.want {
				t.Errorf("%s, want %s", s, c.want)
			}
			i.closed()
			if e := r.event(LoginRefused); e.Initiator != initiatorName || e.Target != targetName {
				t.Errorf("event %+v", e)
			}
		})
	}
	put(func(c *TargetConfig) { c.MaxSessions = 1 })
	r.login(1)
	if s := r.dial().login(2, "Normal"); s != wire.LoginOutOfResources {
		t.Errorf("second session: %s", s)
	}
}

// What the server offers changes without a session noticing; what is taken
// away ends its sessions.
func TestLiveChanges(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	c := r.config
	c.Offer.MaxRecvDataSegmentLength = 64 << 10
	if err := r.server.PutTarget(c); err != nil {
		t.Fatal(err)
	}
	if s := i.testUnitReady(); s != 0 {
		t.Errorf("status %02x", s)
	}
	if n := r.login(2); n.maxSend != 64<<10 {
		t.Errorf("a new session may send %d", n.maxSend)
	}
	done := make(chan struct{})
	go func() {
		r.server.RemoveTarget(targetName)
		close(done)
	}()
	p := i.receive()
	if p.Opcode() != wire.OpAsync || p.AsyncEvent() != wire.AsyncLogoutRequest || p.AsyncParameter(3) != 3 {
		t.Errorf("got %s event %d", p.Opcode(), p.AsyncEvent())
	}
	var h wire.BHS
	wire.LogoutRequest{Immediate: true, ITT: 77, CmdSN: i.cmdSN}.Put(&h)
	i.send(&h, nil)
	i.closed()
	// The first session's connection is closed a moment before it leaves the
	// table: the second one is the last.
	open := r.server.Sessions()
	if err := r.server.CloseSession(open[len(open)-1].ID); err != nil {
		t.Error(err)
	}
	<-done
	if s := r.dial().login(3, "Normal"); s != wire.LoginNotFound {
		t.Errorf("login to a target that is gone: %s", s)
	}
	if err := r.server.CloseSession("ffff"); err == nil {
		t.Error("a session that is not there was closed")
	}
}

func TestRemovePortal(t *testing.T) {
	r := newRig(t, Options{})
	i, stranger := r.login(1), r.dial()
	r.server.RemovePortal("p0")
	i.closed()
	stranger.closed()
	if n := len(r.server.Sessions()); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	if c, err := net.Dial("tcp", r.addr); err == nil {
		_ = c.Close()
		t.Error("the portal still takes connections")
	}
}

func TestPing(t *testing.T) {
	r := newRig(t, Options{})
	c := r.config
	c.PingInterval, c.PingTimeout = time.Millisecond, 1500*time.Millisecond
	if err := r.server.PutTarget(c); err != nil {
		t.Fatal(err)
	}
	i := r.login(1)
	p := i.receive()
	if p.Opcode() != wire.OpNOPIn || p.ITT() != wire.NoTag || p.TTT() == wire.NoTag {
		t.Fatalf("got %s", p.Opcode())
	}
	var h wire.BHS
	wire.NOPOut{Immediate: true, ITT: wire.NoTag, TTT: p.TTT(), CmdSN: i.cmdSN}.Put(&h)
	i.send(&h, nil)
	i.receive() // the next ping; it is not answered
	i.closed()
	if e := r.event(SessionClosed); !strings.Contains(e.Message, "did not answer") {
		t.Errorf("event %q", e.Message)
	}
}

// Strangers get little, and not for long.
func TestStrangers(t *testing.T) {
	r := newRig(t, Options{MaxLogins: 8, MaxLoginsPerAddress: 8, LoginTimeout: time.Second})
	var idle []*initiator
	for range 8 {
		idle = append(idle, r.dial())
	}
	time.Sleep(50 * time.Millisecond)
	r.dial().closed() // one too many
	for _, i := range idle {
		i.closed()
	}
	for name, garbage := range map[string][]byte{
		"zeroes":     make([]byte, 5000),
		"ones":       bytes.Repeat([]byte{0xff}, 5000),
		"HTTP":       []byte("GET / HTTP/1.1\r\nHost: array.example\r\nAccept: */*\r\nUser-Agent: nobody in particular\r\n\r\n"),
		"long login": append([]byte{0x43, 0x87, 0, 0, 0, 0xff, 0xff, 0xff}, make([]byte, 40)...),
	} {
		t.Run(name, func(t *testing.T) {
			i := r.dial()
			_, _ = i.conn.Write(garbage)
			i.closed()
		})
	}
	if s := r.login(1).testUnitReady(); s != 0 {
		t.Errorf("status %02x", s)
	}
}

// Requests that break the protocol end the session, or are rejected.
func TestProtocolErrors(t *testing.T) {
	type step func(i *initiator) *wire.BHS
	request := func(op wire.Opcode, change func(h *wire.BHS)) step {
		return func(i *initiator) *wire.BHS {
			h := wire.BHS{byte(op) | 0x40, wire.FlagFinal}
			binary.BigEndian.PutUint32(h[16:], 0x99)
			binary.BigEndian.PutUint32(h[24:], i.cmdSN)
			if change != nil {
				change(&h)
			}
			return &h
		}
	}
	for _, c := range []struct {
		name   string
		make   step
		reason wire.RejectReason // 0: the connection is closed
	}{
		{"oversized PDU", request(wire.OpSCSICommand, func(h *wire.BHS) { h.SetDataLength(1 << 20) }), 0},
		{"login", request(wire.OpLoginRequest, nil), 0},
		{"unknown opcode", request(0x1c, nil), wire.RejectNotSupported},
		{"SNACK", request(wire.OpSNACK, nil), wire.RejectSNACK},
		{"text for no exchange", request(wire.OpTextRequest, nil), wire.RejectProtocolError},
		{"logout for no reason", request(wire.OpLogout, func(h *wire.BHS) { h[1] |= 9 }), wire.RejectInvalidField},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			i := r.login(1)
			h := c.make(i)
			i.write(h[:])
			if c.reason == 0 {
				i.closed()
				return
			}
			p := i.receive()
			if p.Opcode() != wire.OpReject || p.RejectReason() != c.reason || !bytes.Equal(p.body, h[:]) {
				t.Fatalf("got %s (%s), want Reject (%s)", p.Opcode(), p.RejectReason(), c.reason)
			}
			if s := i.testUnitReady(); s != 0 {
				t.Errorf("status %02x", s)
			}
		})
	}
}
