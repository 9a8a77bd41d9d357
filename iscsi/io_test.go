package iscsi

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
)

// digests asks for CRC32C both ways.
var digests = []wire.Pair{{Key: "HeaderDigest", Value: login.DigestCRC32C}, {Key: "DataDigest", Value: login.DigestCRC32C}}

// Every way that the data of a write can take, and back by reads.
func TestWriteAndRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		keys   []wire.Pair
		blocks int
		// bytes of immediate data and of unsolicited Data-Out
		immediate, unsolicited int
		slow                   bool
	}{
		{name: "immediate", blocks: 8, immediate: 4096},
		{name: "immediate, digests", keys: digests, blocks: 9, immediate: 9 * 512},
		{name: "immediate, from a worker", blocks: 8, immediate: 4096, slow: true},
		{name: "R2T", blocks: 8},
		{name: "R2T, digests", keys: digests, blocks: 64},
		{name: "R2T after immediate", blocks: 256, immediate: 4096},
		{name: "many R2T", blocks: 600, keys: []wire.Pair{{Key: "MaxBurstLength", Value: "4096"}, {Key: "MaxOutstandingR2T", Value: "4"}}},
		{name: "large immediate, then R2T", blocks: 2048, immediate: 128 << 10},
		{name: "large, digests, from a worker", keys: digests, blocks: 2048, immediate: 64 << 10, slow: true},
		{name: "unsolicited", blocks: 64, unsolicited: 32 << 10, keys: []wire.Pair{{Key: "InitialR2T", Value: "No"}}},
		{name: "immediate, unsolicited, R2T", blocks: 512, immediate: 8192, unsolicited: 32 << 10, slow: true,
			keys: append([]wire.Pair{{Key: "InitialR2T", Value: "No"}, {Key: "FirstBurstLength", Value: "65536"}}, digests...)},
		{name: "small Data-In", blocks: 100, keys: []wire.Pair{{Key: "MaxRecvDataSegmentLength", Value: "512"}, {Key: "MaxBurstLength", Value: "2048"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			keys := slices.Clone(c.keys)
			if !slices.ContainsFunc(keys, func(p wire.Pair) bool { return p.Key == "FirstBurstLength" }) {
				keys = append(keys, wire.Pair{Key: "FirstBurstLength", Value: "262144"})
			}
			i := r.login(1, keys...)
			if c.slow {
				close(r.store.open)
				r.store.slow.Store(true)
			}
			data := pattern(c.blocks*blockSize, byte(c.blocks))
			if got := i.writeAll(7, data, c.immediate, c.unsolicited); got != byte(scsi.Good) {
				t.Fatalf("write: status %02x", got)
			}
			i.write(i.read(7, c.blocks))
			if got := i.collect(i.itt, len(data)); !bytes.Equal(got, data) {
				t.Error("what was read is not what was written")
			}
			if n := r.server.budget.used.Load(); n != 0 {
				t.Errorf("%d bytes of the budget for writes are still taken", n)
			}
		})
	}
}

// writeAll writes data and serves the R2Ts that come.
func (i *initiator) writeAll(lba int, data []byte, immediate, unsolicited int) byte {
	i.t.Helper()
	flags := byte(wire.FlagFinal | wire.FlagWrite)
	if unsolicited > 0 {
		flags = wire.FlagWrite
	}
	const piece = 20000 // not a multiple of anything
	i.write(i.command(rw16(0x8a, lba, len(data)/blockSize), flags, len(data), data[:immediate]))
	for sn, off, end := uint32(0), immediate, immediate+unsolicited; off < end; sn++ {
		n := min(end-off, piece)
		i.write(i.dataOut(i.itt, wire.NoTag, sn, off, data[off:off+n], off+n == end))
		off += n
	}
	for r2t := uint32(0); ; r2t++ {
		p := i.receive()
		if p.Opcode() == wire.OpSCSIResponse {
			if p.ExpDataSN() != r2t {
				i.t.Errorf("ExpDataSN %d after %d R2Ts", p.ExpDataSN(), r2t)
			}
			return p.Status()
		}
		if p.Opcode() != wire.OpR2T || p.R2TSN() != r2t {
			i.t.Fatalf("got %s number %d, want R2T %d", p.Opcode(), p.R2TSN(), r2t)
		}
		off, end := int(p.BufferOffset()), int(p.BufferOffset()+p.Desired())
		for sn := uint32(0); off < end; sn++ {
			n := min(end-off, piece)
			i.write(i.dataOut(i.itt, p.TTT(), sn, off, data[off:off+n], off+n == end))
			off += n
		}
	}
}

// Many commands in one segment are answered in order, in one window.
func TestBatch(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	want := pattern(32*blockSize, 3)
	if s := i.writeAll(0, want, len(want), 0); s != 0 {
		t.Fatalf("write: status %02x", s)
	}
	var all []byte
	first := i.itt + 1
	for k := range 32 {
		all = append(all, i.read(k, 1)...)
	}
	// In odd pieces, so that headers are cut.
	for len(all) > 0 {
		n := min(len(all), 77)
		i.write(all[:n])
		all = all[n:]
	}
	for k := range 32 {
		if got := i.collect(first+uint32(k), blockSize); !bytes.Equal(got, want[k*blockSize:][:blockSize]) {
			t.Fatalf("block %d is another one", k)
		}
	}
	if open := i.maxCmdSN - i.cmdSN + 1; open != login.DefaultOffer().Window {
		t.Errorf("the window is open for %d commands, want %d", open, login.DefaultOffer().Window)
	}
}

// What the initiator expects and what the command moves may differ (RFC 7143 11.4.5).
func TestResiduals(t *testing.T) {
	r := newRig(t, Options{})
	i := r.login(1)
	for _, c := range []struct {
		name     string
		op       byte
		flags    byte
		expected int
		want     byte
		residual uint32
		moved    int
	}{
		{"read, no room", 0x88, wire.FlagRead, 0, wire.FlagOverflow, 512, 0},
		{"read, little room", 0x88, wire.FlagRead, 200, wire.FlagOverflow, 312, 200},
		{"read, much room", 0x88, wire.FlagRead, 10000, wire.FlagUnderflow, 9488, 512},
		{"read, said to be a write", 0x88, wire.FlagWrite, 512, wire.FlagUnderflow, 512, 0},
		{"write, nothing", 0x8a, wire.FlagWrite, 0, wire.FlagOverflow, 512, 0},
		{"write, little", 0x8a, wire.FlagWrite, 200, wire.FlagOverflow, 312, 0},
		{"write, much", 0x8a, wire.FlagWrite, 10000, wire.FlagUnderflow, 9488, 0},
		{"write, without direction", 0x8a, 0, 0, wire.FlagOverflow, 512, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var data []byte
			if c.flags == wire.FlagWrite {
				data = make([]byte, c.expected)
			}
			i.write(i.command(rw16(c.op, 0, 1), wire.FlagFinal|c.flags, c.expected, data))
			p := i.receive()
			if len(p.body) != c.moved || p.Status() != 0 || p.Flags()&6 != c.want || p.Residual() != c.residual {
				t.Errorf("%s with %d bytes, status %02x, flags %02x, residual %d; want %d bytes, flags %02x, residual %d",
					p.Opcode(), len(p.body), p.Status(), p.Flags(), p.Residual(), c.moved, c.want, c.residual)
			}
		})
	}
}

// Data-Out that breaks the rules ends its command, not the session.
func TestWrongDataOut(t *testing.T) {
	for _, c := range []struct {
		name string
		sn   uint32
		off  int
		n    int
	}{
		{"DataSN", 1, 0, 4096},
		{"offset", 0, 512, 4096},
		{"too little", 0, 0, 2048},
		{"too much", 0, 0, 8192},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			i := r.login(1)
			i.write(i.write16(0, 8, nil))
			p := i.receive()
			i.write(i.dataOut(i.itt, p.TTT(), c.sn, c.off, make([]byte, c.n), true))
			if s := i.response(i.itt); s.Status() != byte(scsi.CheckCondition) || s.body[2+2] != byte(scsi.AbortedCommand) {
				t.Errorf("status %02x, sense % x", s.Status(), s.body)
			}
			if s := i.testUnitReady(); s != 0 {
				t.Errorf("the next command ended with %02x", s)
			}
		})
	}
	t.Run("for nobody", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1)
		i.write(i.dataOut(99, 0x12345678, 0, 0, make([]byte, 5000), true))
		i.write(i.dataOut(99, wire.NoTag, 0, 0, make([]byte, 5), true))
		if s := i.testUnitReady(); s != 0 {
			t.Errorf("the next command ended with %02x", s)
		}
	})
	t.Run("unsolicited against InitialR2T", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1, wire.Pair{Key: "InitialR2T", Value: "Yes"})
		i.write(i.command(rw16(0x8a, 0, 8), wire.FlagWrite, 4096, nil))
		i.write(i.dataOut(i.itt, wire.NoTag, 0, 0, make([]byte, 4096), true))
		if s := i.response(i.itt); s.Status() != byte(scsi.CheckCondition) {
			t.Errorf("status %02x", s.Status())
		}
	})
}

// A digest that is wrong ends the connection (header) or the command (data).
func TestDamage(t *testing.T) {
	t.Run("header", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1, digests...)
		p := i.read(0, 1)
		p[40] ^= 1
		i.write(p)
		i.closed()
	})
	t.Run("Data-Out", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1, digests...)
		i.write(i.write16(0, 8, nil))
		r2t := i.receive()
		p := i.dataOut(i.itt, r2t.TTT(), 0, 0, make([]byte, 4096), true)
		p[100] ^= 1
		i.write(p)
		if p := i.receive(); p.Opcode() != wire.OpReject || p.RejectReason() != wire.RejectDataDigest {
			t.Fatalf("got %s", p.Opcode())
		}
		if p := i.response(i.itt); p.Status() != byte(scsi.CheckCondition) {
			t.Errorf("status %02x", p.Status())
		}
	})
	t.Run("immediate data", func(t *testing.T) {
		r := newRig(t, Options{})
		i := r.login(1, digests...)
		p := i.write16(0, 8, make([]byte, 4096))
		p[100] ^= 1
		i.write(p)
		if p := i.receive(); p.Opcode() != wire.OpReject || p.RejectReason() != wire.RejectDataDigest {
			t.Fatalf("got %s", p.Opcode())
		}
		// It does not count as received: it comes again.
		p[100] ^= 1
		i.write(p)
		if p := i.response(i.itt); p.Status() != byte(scsi.Good) {
			t.Errorf("status %02x", p.Status())
		}
	})
}

// An initiator that asks for much and reads nothing holds up only itself, and
// gets all of it when it reads.
func TestBackpressure(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 1 << 20})
	i := r.login(1)
	const blocks = 8192 // 4 MiB each
	first := i.itt + 1
	for range 16 {
		i.write(i.read(0, blocks))
	}
	other := r.login(2)
	for range 10 {
		if s := other.testUnitReady(); s != 0 {
			t.Fatalf("status %02x", s)
		}
	}
	time.Sleep(50 * time.Millisecond)
	c := r.server.list()[0].conn
	c.mu.Lock()
	queued := c.tx.queued
	c.mu.Unlock()
	if queued == 0 || queued > 1<<20+3*transmitBuffer {
		t.Errorf("%d bytes are queued", queued)
	}
	for k := range 16 {
		i.collect(first+uint32(k), blocks*blockSize)
	}
}

// An initiator that never reads again does not keep the server from ending.
func TestNeverReads(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 1 << 20})
	for slow := range 2 {
		i := r.login(byte(slow))
		if slow == 1 {
			r.store.slow.Store(true) // workers wait for room, too
			close(r.store.open)
		}
		for range 8 {
			i.write(i.read(0, 8192))
		}
	}
	time.Sleep(50 * time.Millisecond)
}

// Writes share a bounded memory: who finds none waits or is told to come again.
func TestWriteMemory(t *testing.T) {
	r := newRig(t, Options{WriteMemory: 4 << 20}) // 1 MiB a session
	i := r.login(1, wire.Pair{Key: "MaxBurstLength", Value: "1048576"})
	const blocks = 1024 // 512 KiB
	data := pattern(blocks*blockSize, 9)
	var tags []uint32
	for k := range 6 {
		i.write(i.write16(k*blocks, blocks, nil))
		tags = append(tags, i.itt)
	}
	// Two fit; each that ends makes room for the next.
	done := 0
	for done < 6 {
		p := i.receive()
		switch p.Opcode() {
		case wire.OpR2T:
			i.write(i.dataOut(p.ITT(), p.TTT(), 0, 0, data[:256<<10], false))
			i.write(i.dataOut(p.ITT(), p.TTT(), 1, 256<<10, data[256<<10:], true))
		case wire.OpSCSIResponse:
			if p.Status() != 0 || !slices.Contains(tags, p.ITT()) {
				t.Fatalf("task %d: status %02x", p.ITT(), p.Status())
			}
			done++
		}
	}
	// With immediate data there is no waiting.
	i.write(i.write16(0, blocks, nil))
	i.write(i.write16(0, blocks, nil))
	i.receive()
	i.receive()
	i.write(i.write16(0, blocks, data[:8192]))
	if p := i.response(i.itt); p.Status() != byte(scsi.TaskSetFull) {
		t.Errorf("status %02x, want TASK SET FULL", p.Status())
	}
	// And what can never fit is refused.
	i.write(i.write16(0, 3*blocks, nil))
	if p := i.response(i.itt); p.Status() != byte(scsi.CheckCondition) {
		t.Errorf("status %02x, want CHECK CONDITION", p.Status())
	}
}
