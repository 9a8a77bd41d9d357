package scsi

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Counters count the I/O of a path, or of several added up. A command that
// moved data counts where it moved it; Errors are commands that ended with
// anything but GOOD and CONDITION MET.
type Counters struct {
	Reads, Writes, Other  uint64
	ReadBytes, WriteBytes uint64
	Errors                uint64
	ReadLatency           Histogram
	WriteLatency          Histogram
}

// Histogram counts commands by the time they took: bucket i those that took
// less than 16 µs << i, the last one the rest.
type Histogram struct {
	Buckets [17]uint64
	Sum     time.Duration
}

// Add adds o to c.
func (c *Counters) Add(o Counters) {
	c.Reads += o.Reads
	c.Writes += o.Writes
	c.Other += o.Other
	c.ReadBytes += o.ReadBytes
	c.WriteBytes += o.WriteBytes
	c.Errors += o.Errors
	c.ReadLatency.add(o.ReadLatency)
	c.WriteLatency.add(o.WriteLatency)
}

func (h *Histogram) add(o Histogram) {
	for i, n := range o.Buckets {
		h.Buckets[i] += n
	}
	h.Sum += o.Sum
}

// Kind is what a command counts as.
type Kind uint8

// Kinds of commands.
const (
	Other Kind = iota
	Read
	Write
)

// Kind says what t counts as: a Read moved data in from the medium, a Write
// moved data out to it.
func (t *Task) Kind() Kind {
	switch {
	case t.Command == nil:
		return Other
	case t.OutLen > 0 && t.Command.Access&WritesMedium != 0:
		return Write
	case t.InLen > 0 && t.Command.Access&ReadsMedium != 0:
		return Read
	}
	return Other
}

// counters are the live form of Counters: three atomic adds a command.
type counters struct {
	read, write meter
	other       atomic.Uint64
	errors      atomic.Uint64
}

type meter struct {
	bytes   atomic.Uint64
	sum     atomic.Int64
	buckets [17]atomic.Uint64 // their sum is the number of commands
}

// bucket is the index of d in a Histogram.
func bucket(d time.Duration) int {
	return min(bits.Len64(uint64(max(d, 0)/(16*time.Microsecond))), 16)
}

// Count counts a command that ended: how many bytes it moved, how long it took
// and whether it was well.
func (p *Path) Count(k Kind, bytes int, d time.Duration, ok bool) {
	c := &p.counters
	if !ok {
		c.errors.Add(1)
	}
	m := &c.read
	switch k {
	case Other:
		c.other.Add(1)
		return
	case Write:
		m = &c.write
	}
	m.bytes.Add(uint64(bytes))
	m.sum.Add(int64(d))
	m.buckets[bucket(d)].Add(1)
}

// Counters returns what the path has counted.
func (p *Path) Counters() Counters {
	c := &p.counters
	r := Counters{Other: c.other.Load(), Errors: c.errors.Load()}
	r.Reads, r.ReadBytes, r.ReadLatency = c.read.load()
	r.Writes, r.WriteBytes, r.WriteLatency = c.write.load()
	return r
}

func (m *meter) load() (n, bytes uint64, h Histogram) {
	for i := range m.buckets {
		h.Buckets[i] = m.buckets[i].Load()
		n += h.Buckets[i]
	}
	h.Sum = time.Duration(m.sum.Load())
	return n, m.bytes.Load(), h
}
