package iscsi

import (
	"bytes"
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
	// Each begins with the first CmdSN: what comes early is only held.
	seed := func(slow, away bool, input func(i *initiator) [][]byte) {
		f.Add(bytes.Join(input(&initiator{cmdSN: 1}), nil), slow, away)
	}
	header := func(i *initiator, put func(h *wire.BHS), data []byte) []byte {
		var h wire.BHS
		put(&h)
		return i.encode(&h, data)
	}
	block := make([]byte, 4096)
	logout := func(i *initiator) []byte {
		return header(i, wire.LogoutRequest{Immediate: true, ITT: 3, CmdSN: i.cmdSN}.Put, nil)
	}
	seed(false, false, func(i *initiator) [][]byte { return [][]byte{i.command([]byte{0}, wire.FlagFinal, 0, nil)} })
	seed(false, false, func(i *initiator) [][]byte { return [][]byte{i.read(0, 8), i.write16(0, 8, block)} })
	seed(false, false, func(i *initiator) [][]byte {
		return [][]byte{i.write16(0, 64, make([]byte, 100)), i.dataOut(i.itt, 0x100, 0, 100, make([]byte, 8000), true)}
	})
	seed(true, false, func(i *initiator) [][]byte {
		return [][]byte{i.command(rw16(0x8a, 0, 8), wire.FlagWrite, 4096, nil), i.dataOut(i.itt, wire.NoTag, 0, 0, block, true)}
	})
	seed(true, false, func(i *initiator) [][]byte {
		return [][]byte{i.tmf(wire.TMFAbortTask, 1, 1), i.tmf(wire.TMFLUNReset, 1, 1)}
	})
	text := wire.Text{{Key: "SendTargets", Value: ""}}.Append(nil)
	seed(false, false, func(i *initiator) [][]byte {
		return [][]byte{header(i, wire.TextRequest{Immediate: true, Final: true, DataLength: len(text), ITT: 3, TTT: wire.NoTag}.Put, text)}
	})
	seed(false, false, func(i *initiator) [][]byte { return [][]byte{logout(i)} })
	seed(false, false, func(i *initiator) [][]byte {
		return [][]byte{i.encode(&wire.BHS{0x40, 0x80, 0, 0, 0, 0, 1, 0}, make([]byte, 256)), {1, 2, 3}}
	})
	// Commands are away when the rest comes. The first command only hears of the power on.
	ready := func(i *initiator) []byte { return i.command([]byte{0}, wire.FlagFinal, 0, nil) }
	seed(false, true, func(i *initiator) [][]byte {
		return [][]byte{ready(i), i.read(awayLBA, 8), i.write16(awayLBA+8, 8, block), i.read(0, 64)}
	})
	seed(true, true, func(i *initiator) [][]byte {
		return [][]byte{ready(i), i.write16(awayLBA, 8, block), i.tmf(wire.TMFLUNReset, wire.NoTag, 0), i.read(awayLBA, 8)}
	})
	seed(false, true, func(i *initiator) [][]byte {
		return [][]byte{ready(i), i.read(awayLBA, 8), i.write16(awayLBA, 8, block), i.tmf(wire.TMFLUNReset, wire.NoTag, 0), logout(i)}
	})

	r := newRig(f, Options{})
	r.server.newQueue = func(int) (queue, error) {
		k := newKernel(r)
		k.late = 200 * time.Microsecond
		return k, nil
	}
	f.Fuzz(func(t *testing.T, input []byte, slow, away bool) {
		client, server := socketPair(t, r)
		r.store.slow.Store(slow)
		r.store.away.Store(away)
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
		_ = server.Close()
		go func() {
			defer close(over)
			_ = x.conn.serve()
			x.nexus.Close()
			x.conn.sock.close()
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
