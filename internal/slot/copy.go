package slot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sync/errgroup"
)

// DamageError says where a part differs from its manifest.
type DamageError struct {
	Part   string
	Offset int64 // of the chunk
	Size   int   // of the chunk
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged in the %d bytes at %d: %s", e.Part, e.Size, e.Offset, e.Reason)
}

// alignment is what reads of files opened with O_DIRECT ask for: of the
// buffer, of the offset and of the length. 4096 satisfies every drive.
const alignment = 4096

// Copy reads the part from src and writes it to dst, both at the part's own
// offsets. Nothing reaches dst before its digest was checked; what is already
// there when a later chunk is found damaged (a *DamageError) is for the caller
// to throw away. The chunks are worked on by several workers at a time, so
// that reading overlaps with hashing. progress, which may be nil, hears how
// many bytes are done, from one worker at a time and never less than before.
//
// src may be a file opened with O_DIRECT: buffers are aligned and lengths
// rounded up, which reads into what follows the part if something does.
func (p Part) Copy(ctx context.Context, dst io.WriterAt, src io.ReaderAt, workers int, progress func(done int64)) error {
	return p.each(ctx, src, workers, progress, worker{
		write: func(b []byte, off int64) error {
			_, err := dst.WriteAt(b, off)
			return err
		},
	})
}

// Verify reads the part from src and checks it as Copy does.
func (p Part) Verify(ctx context.Context, src io.ReaderAt, workers int, progress func(done int64)) error {
	return p.each(ctx, src, workers, progress, worker{})
}

// Load reads the part into mem, of LoadSize bytes, and checks it there. It
// spares what Copy does for dst: where mem is a mapped file and src opened
// with O_DIRECT, the drive's bytes go straight to where they stay. mem is to
// be thrown away when there is an error.
func (p Part) Load(ctx context.Context, mem []byte, src io.ReaderAt, workers int, progress func(done int64)) error {
	if int64(len(mem)) < p.LoadSize() {
		return fmt.Errorf("load %s: %d bytes of memory, want %d", p.Name, len(mem), p.LoadSize())
	}
	return p.each(ctx, src, workers, progress, worker{mem: mem})
}

// LoadSize is the size of the memory for Load: the part's, rounded up.
func (p Part) LoadSize() int64 { return roundUp(p.Size) }

// worker is what is done with a chunk.
type worker struct {
	mem   []byte                             // where it is read to; a buffer if nil
	write func(b []byte, offset int64) error // after it was checked, if not nil
}

// each reads every chunk of the part and checks it.
func (p Part) each(ctx context.Context, src io.ReaderAt, workers int, progress func(int64), w worker) error {
	if err := p.check(); err != nil {
		return err
	}
	var (
		next  atomic.Int64 // index of the next chunk that nobody works on
		mu    sync.Mutex
		total int64 // bytes done, under mu
	)
	g, ctx := errgroup.WithContext(ctx)
	for range max(1, min(workers, len(p.Chunks))) {
		g.Go(func() error {
			var buf []byte
			if w.mem == nil {
				buf = alignedBuffer(int(p.ChunkSize))
			}
			for {
				i := int(next.Add(1) - 1)
				if i >= len(p.Chunks) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				c := p.chunk(i)
				if w.mem != nil {
					buf = w.mem[c.offset:]
				}
				b, err := p.read(src, c, buf[:roundUp(int64(c.size))])
				if err != nil {
					return err
				}
				if w.write != nil {
					if err := w.write(b, c.offset); err != nil {
						return fmt.Errorf("write %d bytes of %s at %d: %w", c.size, p.Name, c.offset, err)
					}
				}
				if progress != nil {
					mu.Lock()
					total += int64(c.size)
					progress(total)
					mu.Unlock()
				}
			}
		})
	}
	return g.Wait()
}

func roundUp(n int64) int64 { return (n + alignment - 1) &^ (alignment - 1) }

// read fills buf, which has the chunk's size rounded up, and returns the
// chunk's bytes, checked.
func (p Part) read(src io.ReaderAt, c chunk, buf []byte) ([]byte, error) {
	n, err := src.ReadAt(buf, c.offset)
	switch {
	case n >= c.size:
	case err == nil || errors.Is(err, io.EOF):
		return nil, &DamageError{Part: p.Name, Offset: c.offset, Size: c.size,
			Reason: fmt.Sprintf("the file ends after %d bytes, want %d", c.offset+int64(n), p.Size)}
	default:
		return nil, &DamageError{Part: p.Name, Offset: c.offset, Size: c.size, Reason: "read: " + err.Error()}
	}
	b := buf[:c.size]
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != c.sum {
		return nil, &DamageError{Part: p.Name, Offset: c.offset, Size: c.size, Reason: "its SHA-256 is not what the manifest says"}
	}
	return b, nil
}

// alignedBuffer returns size bytes whose address suits O_DIRECT.
func alignedBuffer(size int) []byte {
	b := make([]byte, size+alignment)
	for !isAligned(b) {
		b = b[1:]
	}
	return b[:size:size]
}

func isAligned(b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%alignment == 0
}
