package slot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Stream reads the part from src, from its beginning to its end, and passes on
// to dst what was checked, chunk by chunk. An error leaves dst with a part of
// it. progress, which may be nil, hears how many bytes are done.
func (p Part) Stream(ctx context.Context, dst io.Writer, src io.Reader, progress func(done int64)) error {
	if err := p.check(); err != nil {
		return err
	}
	buf := make([]byte, min(p.ChunkSize, p.Size))
	for i := range p.Chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := p.chunk(i)
		b := buf[:c.size]
		if n, err := io.ReadFull(src, b); err != nil {
			reason := "read: " + err.Error()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				reason = fmt.Sprintf("it ends after %d bytes, want %d", c.offset+int64(n), p.Size)
			}
			return &DamageError{Part: p.Name, Offset: c.offset, Size: c.size, Reason: reason}
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != c.sum {
			return &DamageError{Part: p.Name, Offset: c.offset, Size: c.size, Reason: "its SHA-256 is not what the manifest says"}
		}
		if _, err := dst.Write(b); err != nil {
			return fmt.Errorf("write %d bytes of %s at %d: %w", c.size, p.Name, c.offset, err)
		}
		if progress != nil {
			progress(c.offset + int64(c.size))
		}
	}
	return nil
}
