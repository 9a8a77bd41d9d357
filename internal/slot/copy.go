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
	return p.each(ctx, src, workers, progress, func(b []byte, off int64) error {
		_, err := dst.WriteAt(b, off)
		return err
	})
}

// Verify reads the part from src and checks it as Copy does.
func (p Part) Verify(ctx context.Context, src io.ReaderAt, workers int, progress func(done int64)) error {
	return p.each(ctx, src, workers, progress, func([]byte, int64) error { return nil })
}

// each hands every chunk of the part to do, after checking it.
func (p Part) each(ctx context.Context, src io.ReaderAt, workers int, progress func(int64), do func([]byte, int64) error) error {
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
			buf := alignedBuffer(int(p.ChunkSize))
			for {
				i := int(next.Add(1) - 1)
				if i >= len(p.Chunks) {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				c := p.chunk(i)
				b, err := p.read(src, c, buf)
				if err != nil {
					return err
				}
				if err := do(b, c.offset); err != nil {
					return fmt.Errorf("write %d bytes of %s at %d: %w", c.size, p.Name, c.offset, err)
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

// read returns the chunk's bytes, checked, in buf.
func (p Part) read(src io.ReaderAt, c chunk, buf []byte) ([]byte, error) {
	rounded := (c.size + alignment - 1) &^ (alignment - 1)
	n, err := src.ReadAt(buf[:rounded], c.offset)
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
