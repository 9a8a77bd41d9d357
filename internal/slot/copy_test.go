package slot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func TestCopy(t *testing.T) {
	for _, size := range []int{0, 1, 4095, minChunkSize - 1, minChunkSize, minChunkSize + 1, 10*minChunkSize + 77} {
		for _, workers := range []int{0, 1, 3, 100} {
			data := randomBytes(size)
			p := testPart(t, "data", data)
			dst, err := os.Create(filepath.Join(t.TempDir(), "copy"))
			if err != nil {
				t.Fatal(err)
			}
			last := int64(-1)
			err = p.Copy(t.Context(), dst, bytes.NewReader(data), workers, func(done int64) {
				if done <= last {
					t.Errorf("progress went from %d to %d", last, done)
				}
				last = done
			})
			if err != nil {
				t.Fatalf("size %d, %d workers: %v", size, workers, err)
			}
			if size > 0 && last != int64(size) {
				t.Errorf("size %d: progress ended at %d", size, last)
			}
			mem := alignedBuffer(int(p.LoadSize()))
			if err := p.Load(t.Context(), mem, bytes.NewReader(data), workers, nil); err != nil {
				t.Errorf("size %d, %d workers: load: %v", size, workers, err)
			}
			if !bytes.Equal(mem[:size], data) {
				t.Errorf("size %d, %d workers: what was loaded differs", size, workers)
			}
			got, err := os.ReadFile(dst.Name())
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("size %d, %d workers: the copy differs (%v)", size, workers, err)
			}
			_ = dst.Close()
		}
	}
}

// TestCopyOfALongerFile: what follows the part is not part of it.
func TestCopyOfALongerFile(t *testing.T) {
	data := randomBytes(minChunkSize + 5)
	p := testPart(t, "data", data)
	dst := &memory{}
	if err := p.Copy(t.Context(), dst, bytes.NewReader(append(bytes.Clone(data), "more"...)), 1, nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dst.b, data) {
		t.Errorf("%d bytes were copied, want %d", len(dst.b), len(data))
	}
}

type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[off:], p), nil
}

func TestCopyFindsDamage(t *testing.T) {
	const size = 5*minChunkSize + 100
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		offset int64
	}{
		"first byte":      {func(b []byte) []byte { b[0] ^= 1; return b }, 0},
		"third chunk":     {func(b []byte) []byte { b[2*minChunkSize+17] ^= 0x80; return b }, 2 * minChunkSize},
		"last byte":       {func(b []byte) []byte { b[size-1] ^= 1; return b }, 5 * minChunkSize},
		"one byte short":  {func(b []byte) []byte { return b[:size-1] }, 5 * minChunkSize},
		"a chunk short":   {func(b []byte) []byte { return b[:5*minChunkSize] }, 5 * minChunkSize},
		"nothing there":   {func([]byte) []byte { return nil }, 0},
		"chunks exchange": {func(b []byte) []byte { return append(bytes.Clone(b[minChunkSize:2*minChunkSize]), b[minChunkSize:]...) }, 0},
	} {
		data := randomBytes(size)
		p := testPart(t, "data", data)
		bad := c.damage(bytes.Clone(data))
		dst := &memory{}
		var damage *DamageError
		if err := p.Copy(t.Context(), dst, bytes.NewReader(bad), 1, nil); !errors.As(err, &damage) {
			t.Errorf("%s: %v, want a DamageError", name, err)
			continue
		}
		if damage.Offset != c.offset || damage.Part != "data" {
			t.Errorf("%s: damage told at %d of %s, want %d", name, damage.Offset, damage.Part, c.offset)
		}
		if !bytes.Equal(dst.b, data[:len(dst.b)]) {
			t.Errorf("%s: bytes that were not checked were written", name)
		}
		if err := p.Verify(t.Context(), bytes.NewReader(bad), 4, nil); !errors.As(err, &damage) {
			t.Errorf("%s: Verify says %v", name, err)
		}
		if err := p.Load(t.Context(), make([]byte, p.LoadSize()), bytes.NewReader(bad), 4, nil); !errors.As(err, &damage) {
			t.Errorf("%s: Load says %v", name, err)
		}
	}
}

func TestCopyTellsErrors(t *testing.T) {
	data := randomBytes(3 * minChunkSize)
	p := testPart(t, "data", data)
	var damage *DamageError
	if err := p.Verify(t.Context(), errReader{errors.New("I/O error")}, 2, nil); !errors.As(err, &damage) || !strings.Contains(err.Error(), "I/O error") {
		t.Errorf("a medium that cannot be read: %v", err)
	}
	full := errors.New("no space left")
	if err := p.Copy(t.Context(), failingWriter{full}, bytes.NewReader(data), 2, nil); !errors.Is(err, full) || errors.As(err, &damage) {
		t.Errorf("no room for the copy: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Verify(ctx, bytes.NewReader(data), 2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := p.Load(t.Context(), make([]byte, p.LoadSize()-1), bytes.NewReader(data), 2, nil); err == nil {
		t.Error("loaded into too little memory")
	}
	p.Chunks = p.Chunks[1:]
	if err := p.Verify(t.Context(), bytes.NewReader(data), 2, nil); err == nil {
		t.Error("a part without a digest for each chunk was verified")
	}
}

type failingWriter struct{ err error }

func (w failingWriter) WriteAt([]byte, int64) (int, error) { return 0, w.err }

// aligned refuses what O_DIRECT does.
type aligned struct {
	r     io.ReaderAt
	wrong atomic.Int64
}

func (a *aligned) ReadAt(p []byte, off int64) (int, error) {
	if len(p)%alignment != 0 || off%alignment != 0 || !isAligned(p) {
		a.wrong.Add(1)
	}
	return a.r.ReadAt(p, off)
}

func TestReadsAreAligned(t *testing.T) {
	data := randomBytes(7*minChunkSize + 13)
	src := &aligned{r: bytes.NewReader(data)}
	p := testPart(t, "data", data)
	if err := errors.Join(p.Verify(t.Context(), src, 3, nil), p.Load(t.Context(), alignedBuffer(int(p.LoadSize())), src, 3, nil)); err != nil {
		t.Fatal(err)
	}
	if n := src.wrong.Load(); n != 0 {
		t.Errorf("%d reads were not aligned to %d bytes", n, alignment)
	}
}
