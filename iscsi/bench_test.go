package iscsi

import (
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/esos-project/esos/iscsi/wire"
)

// load keeps depth commands of a kind outstanding on a session.
type load struct {
	i     *initiator
	batch []byte
	in    []byte
	depth int
}

func newLoad(r *rig, isid byte, write bool, depth, blocks int, keys ...wire.Pair) *load {
	r.t.Helper()
	keys = append(keys, wire.Pair{Key: "MaxRecvDataSegmentLength", Value: "262144"}, wire.Pair{Key: "FirstBurstLength", Value: "262144"})
	l := &load{i: r.login(isid, keys...), depth: depth}
	answer := wire.HeaderLength
	for k := range depth {
		if write {
			l.batch = append(l.batch, l.i.write16(k*blocks, blocks, make([]byte, blocks*blockSize))...)
		} else {
			l.batch = append(l.batch, l.i.read(k*blocks, blocks)...)
		}
	}
	if !write {
		answer += blocks * blockSize
		if l.i.data {
			answer += wire.DigestLength
		}
	}
	if l.i.header {
		answer += wire.DigestLength
	}
	l.in = make([]byte, answer*depth)
	return l
}

// round sends the commands, with new CmdSNs, and takes the answers.
func (l *load) round() error {
	if _, err := l.i.conn.Write(l.batch); err != nil {
		return err
	}
	if _, err := io.ReadFull(l.i.conn, l.in); err != nil {
		return err
	}
	step := len(l.batch) / l.depth
	for k := range l.depth {
		h := l.batch[k*step:]
		sn := wire.View(h).CmdSN() + uint32(l.depth)
		h[24], h[25], h[26], h[27] = byte(sn>>24), byte(sn>>16), byte(sn>>8), byte(sn)
		if l.i.header {
			wire.PutDigest(h[wire.HeaderLength:], wire.Digest(h[:wire.HeaderLength]))
		}
	}
	return nil
}

var loads = []struct {
	name   string
	write  bool
	slow   bool
	depth  int
	blocks int
	keys   []wire.Pair
}{
	{name: "read", depth: 32, blocks: 8},
	{name: "read, one at a time", depth: 1, blocks: 8},
	{name: "read, digests", depth: 32, blocks: 8, keys: digests},
	{name: "read, long", depth: 8, blocks: 256},
	{name: "write", write: true, depth: 32, blocks: 8},
	{name: "write, digests", write: true, depth: 32, blocks: 8, keys: digests},
	{name: "read, from workers", slow: true, depth: 32, blocks: 8},
	{name: "write, from workers", slow: true, write: true, depth: 32, blocks: 8},
}

// The way of an I/O does not allocate.
func TestAllocations(t *testing.T) {
	for _, c := range loads {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Options{})
			close(r.store.open)
			l := newLoad(r, 1, c.write, c.depth, c.blocks, c.keys...)
			r.store.slow.Store(c.slow)
			round := func() {
				if err := l.round(); err != nil {
					t.Fatal(err)
				}
			}
			for range 50 {
				round()
			}
			const rounds = 400
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range rounds {
				round()
			}
			runtime.ReadMemStats(&after)
			// A garbage collection meanwhile empties the pools, so a few are
			// fair; one for each I/O would be rounds*depth.
			n := after.Mallocs - before.Mallocs
			if per := float64(n) / float64(rounds*c.depth); per > 0.02 && n > 100 && !underRace {
				t.Errorf("%d allocations for %d commands", n, rounds*c.depth)
			}
		})
	}
}

func BenchmarkIO(b *testing.B) {
	for _, c := range loads {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b, Options{})
			close(r.store.open)
			l := newLoad(r, 1, c.write, c.depth, c.blocks, c.keys...)
			r.store.slow.Store(c.slow)
			b.ReportAllocs()
			b.SetBytes(int64(c.blocks * blockSize))
			for range 50 {
				if err := l.round(); err != nil {
					b.Fatal(err)
				}
			}
			before := spentNow()
			b.ResetTimer()
			for n := 0; n < b.N; n += c.depth {
				if err := l.round(); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			spentNow().check(b, before)
		})
	}
}

// spent is what the process has spent so far.
type spent struct {
	mallocs uint64
	gc, cpu float64 // seconds of all processors, of these the collector's
}

func spentNow() spent {
	runtime.GC() // the figures below are as of the last one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/user:cpu-seconds"}}
	metrics.Read(s)
	return spent{mallocs: m.Mallocs, gc: s[0].Value.Float64(), cpu: s[0].Value.Float64() + s[1].Value.Float64()}
}

// check reports the share of the collector, and fails a run that is long enough
// to tell if that is 1 % or more, or if I/Os allocate. A few allocations are
// fair: a collection empties the pools.
func (s spent) check(b *testing.B, before spent) {
	b.Helper()
	cpu := max(s.cpu-before.cpu, 1e-9)
	share := 100 * (s.gc - before.gc) / cpu
	b.ReportMetric(share, "gc-%")
	if cpu < 0.5 {
		return
	}
	if share >= 1 {
		b.Errorf("garbage collection took %.2f %% of %.1f s of CPU", share, cpu)
	}
	if per := float64(s.mallocs-before.mallocs) / float64(b.N); per > 0.01 && !underRace {
		b.Errorf("%.3f allocations an I/O", per)
	}
}

// BenchmarkIdle counts what a session costs that does nothing.
func BenchmarkIdle(b *testing.B) {
	r := newRig(b, Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const sessions = 200
	for k := range sessions {
		r.login(byte(k))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/sessions, "B/session")
	if n := len(r.server.Sessions()); n != sessions {
		b.Fatal(fmt.Errorf("%d sessions", n))
	}
}
