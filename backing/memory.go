package backing

import (
	"io"
	"sync"
)

// Memory is a Store in memory, taken piece by piece as it is written. Nothing
// of it survives the process: Sync has nothing to do.
type Memory struct {
	mu     sync.RWMutex // size and the list, not the bytes
	size   int64
	chunks []chunk
}

// chunkSize is what a Memory takes and gives back at a time.
const chunkSize = 64 << 10

type chunk struct {
	mu sync.RWMutex
	b  []byte // nil: all zeroes
}

// NewMemory makes a Memory of size bytes, all zeroes.
func NewMemory(size int64) *Memory {
	return &Memory{size: size, chunks: make([]chunk, (size+chunkSize-1)/chunkSize)}
}

// Size implements Store.
func (m *Memory) Size() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.size
}

// Grow makes m larger; it never shrinks.
func (m *Memory) Grow(size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if size <= m.size {
		return
	}
	chunks := make([]chunk, (size+chunkSize-1)/chunkSize)
	for i := range m.chunks {
		chunks[i].b = m.chunks[i].b
	}
	m.size, m.chunks = size, chunks
}

// each calls f for every piece of a chunk in the range.
func (m *Memory) each(off, n int64, f func(c *chunk, from, to int)) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if off < 0 || n < 0 || n > m.size-off {
		return io.ErrUnexpectedEOF
	}
	for n > 0 {
		from := off % chunkSize
		to := min(from+n, chunkSize)
		f(&m.chunks[off/chunkSize], int(from), int(to))
		off, n = off+to-from, n-(to-from)
	}
	return nil
}

// ReadAt implements Store.
func (m *Memory) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	err := m.each(off, int64(len(p)), func(c *chunk, from, to int) {
		c.mu.RLock()
		if c.b == nil {
			clear(p[done : done+to-from])
		} else {
			copy(p[done:], c.b[from:to])
		}
		c.mu.RUnlock()
		done += to - from
	})
	return done, err
}

// WriteAt implements Store.
func (m *Memory) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	err := m.each(off, int64(len(p)), func(c *chunk, from, to int) {
		c.mu.Lock()
		if c.b == nil {
			c.b = make([]byte, chunkSize)
		}
		copy(c.b[from:to], p[done:])
		c.mu.Unlock()
		done += to - from
	})
	return done, err
}

// TryReadAt implements Prompt.
func (m *Memory) TryReadAt(p []byte, off int64) (int, error) { return m.ReadAt(p, off) }

// TryWriteAt implements Prompt.
func (m *Memory) TryWriteAt(p []byte, off int64) (int, error) { return m.WriteAt(p, off) }

// Zero implements Store.
func (m *Memory) Zero(off, n int64, deallocate bool) error {
	return m.each(off, n, func(c *chunk, from, to int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case c.b == nil && !deallocate:
			c.b = make([]byte, chunkSize)
		case c.b == nil:
		case deallocate && to-from == chunkSize:
			c.b = nil
		default:
			clear(c.b[from:to])
		}
	})
}

// Extent implements Store.
func (m *Memory) Extent(off, n int64) (bool, int64, error) {
	var allocated, known, over bool
	var length int64
	err := m.each(off, n, func(c *chunk, from, to int) {
		c.mu.RLock()
		a := c.b != nil
		c.mu.RUnlock()
		if known && a != allocated {
			over = true
		}
		if !over {
			allocated, known = a, true
			length += int64(to - from)
		}
	})
	return allocated, length, err
}

// Sync implements Store.
func (m *Memory) Sync() error { return nil }

// Close implements Store.
func (m *Memory) Close() error { return nil }
