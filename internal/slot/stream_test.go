package slot

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// refusing takes so many bytes.
type refusing int

func (r *refusing) Write(p []byte) (int, error) {
	if *r -= refusing(len(p)); *r < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func TestStream(t *testing.T) {
	for _, size := range []int{0, 1, minChunkSize, 3*minChunkSize + 17} {
		data := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		p, err := describe(bytes.NewReader(data), "part", minChunkSize)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		var last int64
		if err := p.Stream(t.Context(), &out, bytes.NewReader(append(bytes.Clone(data), "what follows"...)), func(n int64) { last = n }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), data) || last != int64(size) {
			t.Errorf("%d bytes: %d came, %d were told", size, out.Len(), last)
		}
		if size == 0 {
			continue
		}
		var damage *DamageError
		if err := p.Stream(t.Context(), &out, bytes.NewReader(data[:size-1]), nil); !errors.As(err, &damage) {
			t.Errorf("%d bytes, one missing: %v", size, err)
		}
		bad := bytes.Clone(data)
		bad[size-1] ^= 1
		out.Reset()
		if err := p.Stream(t.Context(), &out, bytes.NewReader(bad), nil); !errors.As(err, &damage) || damage.Offset != int64(size-1)/minChunkSize*minChunkSize {
			t.Errorf("%d bytes, one of them wrong: %v", size, err)
		}
		if !bytes.HasPrefix(data, out.Bytes()) {
			t.Errorf("%d bytes: a damaged chunk was passed on", size)
		}
		full := refusing(size - 1)
		if err := p.Stream(t.Context(), &full, bytes.NewReader(data), nil); err == nil || errors.As(err, &damage) {
			t.Errorf("%d bytes onto a full disk: %v", size, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Stream(ctx, &out, bytes.NewReader(data), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes, called off: %v", size, err)
		}
	}
}
