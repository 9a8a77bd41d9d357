package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder answers requests with what it is told and keeps what it saw.
type recorder struct {
	mu     sync.Mutex
	ops    []string
	bodies []string
	texts  []string // contents of the files that came along
	answer func(op string) (any, error)
}

func (r *recorder) Handle(_ context.Context, op string, body []byte, files []*os.File) (any, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops, r.bodies = append(r.ops, op), append(r.bodies, string(body))
	for _, f := range files {
		b, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		r.texts = append(r.texts, string(b))
		f.Close()
	}
	if r.answer == nil {
		return nil, nil
	}
	return r.answer(op)
}

// serve runs a server on a socket of its own and returns its path.
func serve(t *testing.T, h Handler) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(os.Getuid())
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		s.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, path
}

func dial(t *testing.T, path string, onEvent func(Event)) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path, onEvent)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRequestBringsBodyAndFile(t *testing.T) {
	r := &recorder{answer: func(string) (any, error) { return Device{Name: "d", Size: 7}, nil }}
	_, path := serve(t, r)
	c := dial(t, path, nil)

	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, []byte("bytes of the disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := c.PutDevice(t.Context(), Device{Name: "d", Handler: "vdisk_fileio"}, f)
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 7 {
		t.Errorf("answer: size %d, want 7", got.Size)
	}
	if diff := cmp.Diff([]string{"bytes of the disk"}, r.texts); diff != "" {
		t.Errorf("file of the request (-want +got):\n%s", diff)
	}
	if want := `{"name":"d","handler":"vdisk_fileio","identity":{}}`; r.bodies[0] != want {
		t.Errorf("body %s, want %s", r.bodies[0], want)
	}
}

// TestFilesStayWithTheirRequests sends many requests whose files must not be
// mixed up, however the socket cuts the stream.
func TestFilesStayWithTheirRequests(t *testing.T) {
	r := &recorder{}
	_, path := serve(t, r)
	c := dial(t, path, nil)
	dir := t.TempDir()
	var want []string
	for i := range 200 {
		name := filepath.Join(dir, "f")
		text := strings.Repeat("x", i)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		d := Device{Name: strings.Repeat("n", i*97)}
		if _, err := c.PutDevice(t.Context(), d, f); err != nil && !strings.Contains(err.Error(), "decode") {
			t.Fatal(err)
		}
		f.Close()
		want = append(want, text)
		if err := c.PutTarget(t.Context(), Target{Name: "no file"}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, r.texts); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	_, path := serve(t, &recorder{answer: func(op string) (any, error) {
		if op == OpDeleteDevice {
			return nil, Errorf(InUse, "device db01 is LUN 0 of target t")
		}
		return nil, errors.New("no space left")
	}})
	c := dial(t, path, nil)
	if err := c.DeleteDevice(t.Context(), "db01"); !Is(err, InUse) || err.Error() != "device db01 is LUN 0 of target t" {
		t.Errorf("DeleteDevice: %v", err)
	}
	if err := c.PutTarget(t.Context(), Target{}); !Is(err, Failed) || err.Error() != "no space left" {
		t.Errorf("PutTarget: %v", err)
	}
}

func TestEventsWaitForTheNextDaemon(t *testing.T) {
	s, path := serve(t, &recorder{})
	for i := range maxPending + 3 {
		s.Publish(Event{Kind: "session.opened", Detail: map[string]string{"n": string(rune('a' + i%26))}})
	}
	got := make(chan Event, maxPending+1)
	c := dial(t, path, func(e Event) { got <- e })
	_, _ = c.Hello(t.Context())
	first := <-got
	if first.Lost != 3 || first.Detail["n"] != "d" {
		t.Errorf("first event %+v, want the fourth with 3 lost", first)
	}
	for range maxPending - 1 {
		<-got
	}
	s.Publish(Event{Kind: "later"})
	if e := <-got; e.Kind != "later" || e.Lost != 0 {
		t.Errorf("got %+v", e)
	}
}

func TestCallsEndWithTheConnection(t *testing.T) {
	block := make(chan struct{})
	s, path := serve(t, &recorder{answer: func(string) (any, error) { <-block; return nil, nil }})
	c := dial(t, path, nil)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 1)
	go func() { errs <- c.PutTarget(ctx, Target{}) }()
	time.Sleep(10 * time.Millisecond)
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
	go func() { errs <- c.PutTarget(t.Context(), Target{}) }()
	time.Sleep(10 * time.Millisecond)
	c.Close()
	if err := <-errs; !errors.Is(err, ErrClosed) {
		t.Errorf("call on a closed connection: %v", err)
	}
	close(block)
	s.Close()
	if err := c.PutTarget(t.Context(), Target{}); !errors.Is(err, ErrClosed) {
		t.Errorf("call after the end: %v", err)
	}
}

// TestFullSocket asks of a process that is stopped until its socket is full,
// and more: no call may wait longer than it was told to, and once the process
// runs again the connection is as good as ever.
func TestFullSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, path, nil)
	other, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 400 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		began := time.Now()
		_, err := c.PutDevice(ctx, Device{Name: strings.Repeat("d", 200)}, file)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a call that nobody answers: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("a call of 1 ms took %v", took)
		}
	}
	if len(c.conn.writing) != 1 {
		t.Fatal("the socket was never full: this shows nothing")
	}
	if err := c.PutTarget(ended, Target{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose context had ended: %v", err)
	}
	file.Close() // ours; what waits to be sent has one of its own
	// The process runs again.
	server := newConn(other)
	answered := make(chan error, 1)
	go func() {
		for {
			f, err := server.read()
			if err != nil {
				answered <- err
				return
			}
			_ = closeAll(f.files, nil)
			if err := server.write(context.Background(), &frame{ID: f.ID}); err != nil {
				answered <- err
				return
			}
		}
	}()
	if err := c.PutTarget(t.Context(), Target{}); err != nil {
		t.Errorf("a call after that: %v", err)
	}
	c.Close()
	if err := <-answered; !errors.Is(err, io.EOF) {
		t.Errorf("the process read %v", err)
	}
}

// TestCloseAnswersFirst: the answer to Stop must reach the daemon although the
// process ends.
func TestCloseAnswersFirst(t *testing.T) {
	stopping := make(chan struct{})
	s, path := serve(t, &recorder{answer: func(string) (any, error) {
		close(stopping)
		time.Sleep(20 * time.Millisecond)
		return nil, nil
	}})
	c := dial(t, path, nil)
	go func() { <-stopping; s.Close() }()
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

// socketPair is two connected Unix sockets.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = c.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func TestBadFramesAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		bytes string
		want  error
	}{
		"empty":           {"", io.EOF},
		"half a header":   {"\xe5\x05\x00", io.ErrUnexpectedEOF},
		"another magic":   {"GET / HT", errProtocol},
		"too long":        {"\xe5\x05\x00\x00\xff\xff\xff\xff", errProtocol},
		"half a body":     {"\xe5\x05\x00\x00\x00\x00\x00\x09{}", io.ErrUnexpectedEOF},
		"missing files":   {"\xe5\x05\x00\x01\x00\x00\x00\x02{}", errProtocol},
		"not JSON":        {"\xe5\x05\x00\x00\x00\x00\x00\x02{]", errProtocol},
		"a wrong type":    {"\xe5\x05\x00\x00\x00\x00\x00\x0a{\"id\":\"x\"}", errProtocol},
		"length, no body": {"\xe5\x05\x00\x00\x03\xff\xff\xff", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := socketPair(t)
			defer b.Close()
			if _, err := a.Write([]byte(tt.bytes)); err != nil {
				t.Fatal(err)
			}
			a.Close()
			c := newConn(b)
			if _, err := c.read(); !errors.Is(err, tt.want) {
				t.Errorf("read: %v, want %v", err, tt.want)
			}
		})
	}
}

// TestTooManyFilesLeakNothing sends more descriptors than a frame may have.
func TestTooManyFilesLeakNothing(t *testing.T) {
	a, b := socketPair(t)
	defer a.Close()
	defer b.Close()
	before := countFDs(t)
	var fds []int
	for range maxFiles + 8 {
		fds = append(fds, 0)
	}
	if _, _, err := a.WriteMsgUnix([]byte("\xe5\x05\x00\x01\x00\x00\x00\x02{}"), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	c := newConn(b)
	if _, err := c.read(); !errors.Is(err, errProtocol) {
		t.Errorf("read: %v, want a protocol error", err)
	}
	if after := countFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}

// FuzzFrames feeds a connection bytes of a stranger: it must end without a
// panic, and hand out nothing that does not decode.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\xe5\x05\x00\x00\x00\x00\x00\x02{}"))
	f.Add([]byte("\xe5\x05\x00\x00\x00\x00\x00\x12{\"id\":1,\"op\":\"hi\"}\xe5\x05\x00\x00\x00\x00\x00\x02{}"))
	f.Add([]byte("\xe5\x05\x00\x01\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 64<<10 {
			return
		}
		a, b := socketPair(t)
		defer b.Close()
		go func() {
			_, _ = a.Write(stream)
			a.Close()
		}()
		c := newConn(b)
		total := 0
		for {
			got, err := c.read()
			if err != nil {
				break
			}
			total += headerLen
			if len(got.files) > 0 {
				t.Errorf("files out of nothing: %d", len(got.files))
			}
		}
		if total > len(stream) {
			t.Errorf("more frames than bytes")
		}
		_, _ = io.Copy(io.Discard, b)
	})
}

func BenchmarkCall(b *testing.B) {
	path := filepath.Join(b.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(os.Getuid())
	go func() { _ = s.Serve(b.Context(), l, &recorder{}, slog.New(slog.DiscardHandler)) }()
	defer s.Close()
	c, err := Dial(b.Context(), path, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if err := c.PutLUN(b.Context(), Map{Target: "t"}, LUN{LUN: 1, Device: "d"}); err != nil {
			b.Fatal(err)
		}
	}
}
