package iscsi

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// buffer is memory from a pool, page aligned so that O_DIRECT takes it.
type buffer struct {
	b    []byte
	home *sync.Pool
}

func (b *buffer) free() { b.home.Put(b) }

// pools are the server's buffers: for receiving, for transmitting (by the
// receive goroutine, by workers), and in powers of two for gathering Data-Out.
// An idle connection holds none.
type pools struct {
	receive  sync.Pool
	transmit sync.Pool
	worker   sync.Pool
	gather   [maxGatherShift + 1]sync.Pool
}

// Sizes of gather buffers: powers of two between these.
const (
	minGatherShift = 12
	maxGatherShift = 26
)

// transmitBuffer holds the answers of a batch, or some long Data-Ins with
// their headers and digests; workerBuffer one, for the Data-In of one task.
const (
	transmitBuffer = 4*maxSegment + 8<<10
	workerBuffer   = maxSegment + 8<<10
)

// maxSegment is the longest Data-In that is sent, whatever the initiator would
// take: data goes from the store to the socket in pieces that stay in the
// processor's cache.
const maxSegment = 256 << 10

func newPools(receive int) *pools {
	p := &pools{}
	p.receive.New = func() any { return &buffer{make([]byte, receive), &p.receive} }
	p.transmit.New = func() any { return &buffer{make([]byte, transmitBuffer), &p.transmit} }
	p.worker.New = func() any { return &buffer{make([]byte, workerBuffer), &p.worker} }
	for i := minGatherShift; i <= maxGatherShift; i++ {
		p.gather[i].New = func() any { return &buffer{make([]byte, 1<<i), &p.gather[i]} }
	}
	return p
}

func get(p *sync.Pool) *buffer { return p.Get().(*buffer) }

// gatherShift returns the pool for n bytes, and false if there is none so large.
func gatherShift(n int) (int, bool) {
	s := max(bits.Len(uint(n-1)), minGatherShift)
	return s, s <= maxGatherShift
}

// budget bounds the memory of gathered writes.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes if they can be had.
func (b *budget) take(n int) bool {
	for {
		used := b.used.Load()
		if used+int64(n) > b.limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

// force reserves n bytes for what must not fail any more.
func (b *budget) force(n int) { b.used.Add(int64(n)) }

func (b *budget) give(n int) { b.used.Add(-int64(n)) }
