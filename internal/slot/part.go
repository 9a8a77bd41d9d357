package slot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Part is a file of a slot.
type Part struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	// SHA256 is the digest of the whole, for people and their sha256sum.
	SHA256 string `json:"sha256"`
	// The file in pieces of ChunkSize bytes, the last one shorter, and the
	// SHA-256 of each: they are checked side by side, and one that is damaged
	// can be named. They say as much as the whole's digest does.
	ChunkSize int64    `json:"chunk_size"`
	Chunks    []string `json:"chunks"`
}

// DefaultChunkSize is the size of the chunks that Describe makes.
const DefaultChunkSize = 4 << 20

// Describe reads r to its end and returns it as a part.
func Describe(r io.Reader, name string) (Part, error) {
	p, err := describe(r, name, DefaultChunkSize)
	if err != nil {
		return Part{}, fmt.Errorf("describe %s: %w", name, err)
	}
	return p, nil
}

func describe(r io.Reader, name string, chunkSize int64) (Part, error) {
	p := Part{Name: name, ChunkSize: chunkSize, Chunks: []string{}}
	whole := sha256.New()
	buf := make([]byte, chunkSize)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			whole.Write(buf[:n])
			sum := sha256.Sum256(buf[:n])
			p.Chunks = append(p.Chunks, hex.EncodeToString(sum[:]))
			p.Size += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return Part{}, err
		}
	}
	p.SHA256 = hex.EncodeToString(whole.Sum(nil))
	return p, p.check()
}

// chunk is a piece of a part.
type chunk struct {
	index  int
	offset int64
	size   int
	sum    string
}

func (p Part) chunk(i int) chunk {
	off := int64(i) * p.ChunkSize
	return chunk{index: i, offset: off, size: int(min(p.ChunkSize, p.Size-off)), sum: p.Chunks[i]}
}

func (p Part) check() error {
	if !isFileName(p.Name) {
		return fmt.Errorf("part %.40q: want a file name of letters, digits and . _ - +", p.Name)
	}
	if p.Size < 0 || p.Size > maxPartSize {
		return fmt.Errorf("part %s: a size of %d bytes, want at most %d", p.Name, p.Size, int64(maxPartSize))
	}
	if p.ChunkSize < minChunkSize || p.ChunkSize > maxChunkSize || p.ChunkSize&(p.ChunkSize-1) != 0 {
		return fmt.Errorf("part %s: chunks of %d bytes, want a power of two from %d to %d", p.Name, p.ChunkSize, minChunkSize, maxChunkSize)
	}
	if want := (p.Size + p.ChunkSize - 1) / p.ChunkSize; int64(len(p.Chunks)) != want {
		return fmt.Errorf("part %s: %d digests of chunks, want %d", p.Name, len(p.Chunks), want)
	}
	if !isDigest(p.SHA256) {
		return fmt.Errorf("part %s: %.70q is no SHA-256", p.Name, p.SHA256)
	}
	for _, sum := range p.Chunks {
		if !isDigest(sum) {
			return fmt.Errorf("part %s: %.70q is no SHA-256", p.Name, sum)
		}
	}
	return nil
}

func isDigest(s string) bool {
	return len(s) == 2*sha256.Size && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'f')
	})
}

// isFileName refuses whatever leads out of a directory or is a hidden file.
func isFileName(s string) bool {
	return s != "" && len(s) <= maxText && s[0] != '.' && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-+", r))
	})
}
