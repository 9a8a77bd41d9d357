package iscsi

import (
	"fmt"
	"testing"
	"time"

	"github.com/esos-project/esos/iscsi/wire"
)

// What is queued for an initiator that does not read takes about as much
// memory as it has bytes.
func TestMemoryOfUnreadAnswers(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 4 << 20})
	i := r.login(1)
	c := r.server.list()[0].conn
	nop := func(n int) {
		var h wire.BHS
		wire.NOPOut{Immediate: true, DataLength: n, ITT: 5, TTT: wire.NoTag, CmdSN: i.cmdSN}.Put(&h)
		i.send(&h, make([]byte, n))
	}
	queue := func() (bytes, buffers int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		seen := map[*buffer]bool{}
		for _, s := range c.tx.queue[c.tx.head:] {
			seen[s.buf] = true
		}
		return c.tx.queued, len(seen)
	}
	end := time.Now().Add(10 * time.Second)
	for n, _ := queue(); n == 0; n, _ = queue() {
		if time.Now().After(end) {
			t.Fatal("the socket takes everything")
		}
		nop(8 << 10)
	}
	for range 200 {
		nop(0)
		time.Sleep(time.Millisecond) // an answer each, not one batch
	}
	if n, buffers := queue(); buffers > 2+2*n/transmitBuffer {
		t.Errorf("%d bytes wait in %d buffers of %d bytes", n, buffers, transmitBuffer)
	}
}

// A batch of small requests with large answers stops where it stands when the
// initiator does not read.
func TestManyAnswersOfOneBatch(t *testing.T) {
	r := newRig(t, Options{MaxQueuedBytes: 64 << 10})
	for k := range 50 {
		c := r.config
		c.Name = fmt.Sprintf("%s-%03d", targetName, k)
		if err := r.server.PutTarget(c); err != nil {
			t.Fatal(err)
		}
	}
	i := r.dial()
	i.login(1, "Discovery")
	ask := wire.Text{{Key: "SendTargets", Value: "All"}}.Append(nil)
	var batch []byte
	for range 6000 {
		var h wire.BHS
		wire.TextRequest{Immediate: true, Final: true, DataLength: len(ask), ITT: 5, TTT: wire.NoTag, CmdSN: i.cmdSN}.Put(&h)
		batch = append(batch, i.encode(&h, ask)...)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = i.conn.Write(batch) // it may end in the middle
	}()
	c := r.server.list()[0].conn
	most := 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		c.mu.Lock()
		most = max(most, c.tx.queued)
		c.mu.Unlock()
	}
	if limit := 64<<10 + transmitBuffer; most > limit {
		t.Errorf("%d bytes are queued, %d are allowed", most, limit)
	}
	_ = i.conn.Close()
	<-done
}

// Who waits for memory behind an initiator that went away gets it.
func TestMemoryPassesTheDead(t *testing.T) {
	r := newRig(t, Options{WriteMemory: 4 << 20}) // 1 MiB a session
	const blocks = 2048
	var full []*initiator
	for k := range 4 {
		i := r.login(byte(k), wire.Pair{Key: "MaxBurstLength", Value: "1048576"})
		i.write(i.write16(0, blocks, nil))
		if p := i.receive(); p.Opcode() != wire.OpR2T {
			t.Fatalf("got %s", p.Opcode())
		}
		full = append(full, i)
	}
	dead := r.login(10)
	dead.write(dead.write16(0, blocks, nil))
	waiting := func(n int32) {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); r.server.hungry.waiting.Load() < n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d wait for memory, want %d", r.server.hungry.waiting.Load(), n)
			}
		}
	}
	waiting(1)
	live := r.login(11)
	live.write(live.write16(0, blocks, nil))
	waiting(2)
	_ = dead.conn.Close()
	r.event(SessionClosed)
	_ = full[0].conn.Close() // its memory is enough for one
	if err := live.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if p := live.receive(); p.Opcode() != wire.OpR2T {
		t.Errorf("got %s", p.Opcode())
	}
}

// An initiator at the bound of its own session does not stop the others.
func TestMemoryPassesTheGreedy(t *testing.T) {
	r := newRig(t, Options{WriteMemory: 4 << 20})
	const half = 1024
	var all []*initiator
	for k := range 4 {
		i := r.login(byte(k), wire.Pair{Key: "MaxBurstLength", Value: "1048576"})
		for range 2 {
			i.write(i.write16(0, half, nil))
			if p := i.receive(); p.Opcode() != wire.OpR2T {
				t.Fatalf("got %s", p.Opcode())
			}
		}
		all = append(all, i)
	}
	greedy, live := all[0], r.login(11)
	for range 5 {
		greedy.write(greedy.write16(0, half, nil))
	}
	time.Sleep(20 * time.Millisecond)
	live.write(live.write16(0, half, nil))
	time.Sleep(20 * time.Millisecond)
	_ = all[3].conn.Close()
	if err := live.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if p := live.receive(); p.Opcode() != wire.OpR2T {
		t.Errorf("got %s", p.Opcode())
	}
}

// Discovery sessions ask for no password, as a rule: they must not take the
// places of real sessions.
func TestDiscoveryLeavesRoom(t *testing.T) {
	r := newRig(t, Options{MaxSessions: 16})
	for k := range 20 {
		r.dial().login(byte(100+k), "Discovery")
	}
	r.alive(1)
}
