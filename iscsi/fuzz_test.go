package iscsi

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// FuzzConnection sends anything into a session: the server neither panics nor
// hangs, and every byte of the budgets comes back.
func FuzzConnection(f *testing.F) {
	i := &initiator{cmdSN: 1}
	f.Add(i.command([]byte{0}, wire.FlagFinal, 0, nil), false)
	f.Add(append(i.read(0, 8), i.write16(0, 8, make([]byte, 4096))...), false)
	f.Add(append(i.write16(0, 64, make([]byte, 100)), i.dataOut(i.itt, 0x100, 0, 100, make([]byte, 8000), true)...), false)
	f.Add(append(i.command(rw16(0x8a, 0, 8), wire.FlagWrite, 4096, nil), i.dataOut(i.itt, wire.NoTag, 0, 0, make([]byte, 4096), true)...), true)
	f.Add(append(i.tmf(wire.TMFAbortTask, 1, 1), i.tmf(wire.TMFLUNReset, 1, 1)...), true)
	var h wire.BHS
	text := wire.Text{{Key: "SendTargets", Value: ""}}.Append(nil)
	wire.TextRequest{Immediate: true, Final: true, DataLength: len(text), ITT: 3, TTT: wire.NoTag}.Put(&h)
	f.Add(i.encode(&h, text), false)
	wire.LogoutRequest{ITT: 3, CmdSN: 1}.Put(&h)
	f.Add(i.encode(&h, nil), false)
	f.Add(append(i.encode(&wire.BHS{0x40, 0x80, 0, 0, 0, 0, 1, 0}, make([]byte, 256)), 1, 2, 3), false)

	r := newRig(f, Options{})
	f.Fuzz(func(t *testing.T, input []byte, slow bool) {
		client, server := socketPair(t, r)
		r.store.slow.Store(slow)
		select {
		case <-r.store.open:
		default:
			close(r.store.open)
		}
		x, refusal := r.server.begin(r.server.portals["p0"], server, login.Result{Initiator: initiatorName, Target: targetName, Group: 1,
			CmdSN: 1, StatSN: 1, Parameters: fuzzParameters()}, &admission{server: r.server, target: r.server.targets[targetName], config: r.config})
		if refusal != nil {
			t.Fatal(refusal)
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = x.conn.serve()
			x.nexus.Close()
			_ = server.Close()
			r.server.forget(x)
		}()
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, client)
		}()
		_, _ = client.Write(input)
		_ = client.(*net.TCPConn).CloseWrite()
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			t.Fatal("the connection does not end")
		}
		_ = client.Close()
		<-read
		if n := r.server.budget.used.Load(); n != 0 {
			t.Fatalf("%d bytes of the budget for writes are still taken", n)
		}
	})
}

func fuzzParameters() login.Parameters {
	p := login.DefaultParameters()
	p.InitialR2T = false
	p.MaxRecvDataSegmentLength = 64 << 10
	p.MaxOutstandingR2T = 4
	return p
}

// socketPair is a connection that the rig's portal does not know of.
func socketPair(t *testing.T, r *rig) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err = net.Dial("tcp", l.Addr().String())
	if err == nil {
		server, err = l.Accept()
	}
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	return client, server
}

var _ scsi.Transport = (*connection)(nil)
