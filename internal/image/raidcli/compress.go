package raidcli

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the memory that an archive may ask for to be decompressed: what
// xz -9 wants, and twice what zstd's own program grants.
const maxWindow = 256 << 20

// decompress returns what the first bytes of a file, head, say that it is
// compressed with; nil for what is not compressed.
func decompress(ctx context.Context, head []byte, r io.Reader) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return gzip.NewReader(r)
	case bytes.HasPrefix(head, []byte("BZh")):
		return io.NopCloser(bzip2.NewReader(r)), nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return xz(ctx, r, "--format=xz")
	case len(head) > 13 && head[0] == 0x5d && head[1] == 0 && head[2] == 0:
		// The old format of lzma has no magic number; these are the settings
		// that all its writers use.
		return xz(ctx, r, "--format=lzma")
	}
	return nil, nil
}

// xz decompresses with the program of that name, for which no kept Go module
// has a limit on memory (docs/decisions has the page).
func xz(ctx context.Context, r io.Reader, format string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "xz", "--decompress", "--stdout", format, fmt.Sprintf("--memlimit-decompress=%d", maxWindow))
	cmd.Stdin = r
	p := &process{cmd: cmd, cancel: cancel}
	cmd.Stderr = &p.stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		p.out = out
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("it is compressed with xz, and there is no program xz here: install xz-utils")
		}
		return nil, fmt.Errorf("start xz: %w", err)
	}
	return p, nil
}

// process is a running program whose output is read.
type process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	out    io.Reader
	stderr bytes.Buffer
	ended  bool
}

func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if err != nil && !p.ended {
		p.ended = true
		if e := p.cmd.Wait(); e != nil {
			text := strings.TrimSpace(p.stderr.String())
			return n, fmt.Errorf("decompress: %w: %s", e, text)
		}
	}
	return n, err
}

// Close ends the program if it runs still.
func (p *process) Close() error {
	p.cancel()
	if !p.ended {
		p.ended = true
		_ = p.cmd.Wait() // it was just killed
	}
	return nil
}
