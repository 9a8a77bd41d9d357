package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Source is where a bundle comes from.
type Source struct {
	Name string // as people gave it
	// size is that of all of it; -1 if nobody says.
	size int64
	// stream is read once; file, if there is one, as often as one likes.
	stream io.Reader
	file   io.ReaderAt
	close  []io.Closer
}

// Close lets go of it.
func (s *Source) Close() error {
	var errs []error
	for _, c := range s.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// silence is how long a server may send nothing.
const silence = time.Minute

// OpenSource opens a file, a URL (http or https: who sent it does not matter,
// the signature does) or "-", which is in.
func OpenSource(ctx context.Context, name string, in io.Reader) (*Source, error) {
	s, err := openSource(ctx, name, in)
	if err != nil {
		return nil, fmt.Errorf("open the upgrade: %w", err)
	}
	return s, nil
}

func openSource(ctx context.Context, name string, in io.Reader) (*Source, error) {
	if name == "-" {
		return &Source{Name: "standard input", size: -1, stream: in}, nil
	}
	if u, err := url.Parse(name); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return fetch(ctx, u)
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok {
		return nil, fmt.Errorf("%s: %s is not spoken here, only http and https; fetch the file and name it", name, scheme)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a directory", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &Source{Name: name, size: -1, stream: f, close: []io.Closer{f}}
	if st.Mode().IsRegular() {
		s.size, s.file = st.Size(), f
	}
	return s, nil
}

// fetch begins to download.
func fetch(ctx context.Context, u *url.URL) (*Source, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("the server sent nothing for %v", silence)) })
	answer, err := http.DefaultClient.Do(request) //nolint:bodyclose // Source.Close closes it
	if err != nil {
		quiet.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		return nil, errors.Join(err, cause)
	}
	body := &body{ReadCloser: answer.Body, ctx: ctx, quiet: quiet, cancel: cancel}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s: the server answers %s", u.Redacted(), answer.Status), body.Close())
	}
	return &Source{Name: u.Redacted(), size: answer.ContentLength, stream: body, close: []io.Closer{body}}, nil
}

// body is a download that ends with an error if nothing comes any more.
type body struct {
	io.ReadCloser
	ctx    context.Context
	quiet  *time.Timer
	cancel context.CancelCauseFunc
}

func (b *body) Read(p []byte) (int, error) {
	b.quiet.Reset(silence)
	n, err := b.ReadCloser.Read(p)
	b.quiet.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

// Close ends the download, wherever it is.
func (b *body) Close() error {
	b.quiet.Stop()
	b.cancel(nil)
	return b.ReadCloser.Close()
}

// keep reads a stream to its end into memory, so that all of it is known before
// anything on the medium changes. head is what was read of it already, size
// what all of it has.
func (s *Source) keep(ctx context.Context, head []byte, size int64, progress func(done, total int64)) error {
	f, err := host.MemoryFile("esos-upgrade")
	if err != nil {
		return err
	}
	s.close = append(s.close, f)
	done := int64(0)
	in := io.LimitReader(io.MultiReader(strings.NewReader(string(head)), s.stream), size)
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(in, buf)
		if _, werr := f.Write(buf[:n]); werr != nil {
			return fmt.Errorf("keep it in memory: %w", werr)
		}
		done += int64(n)
		progress(done, size)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("after %d of %d bytes: %w", done, size, err)
		}
	}
	s.file, s.size = f, done
	return nil
}
