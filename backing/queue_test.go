package backing_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/backing"
)

// pages is memory that O_DIRECT takes.
func pages(n int) []byte {
	b := make([]byte, n+4096)
	skip := (4096 - int(uintptr(unsafe.Pointer(&b[0]))%4096)) % 4096
	return b[skip : skip+n]
}

func newQueue(t *testing.T, n int) *backing.Queue {
	t.Helper()
	q, err := backing.NewQueue(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// reap waits until n requests have come back, by owner.
func reap(t *testing.T, q *backing.Queue, n int) map[any]bool {
	t.Helper()
	came := map[any]bool{}
	for len(came) < n {
		for _, d := range q.Reap(true) {
			if _, twice := came[d.Owner]; twice {
				t.Fatalf("%v came back twice", d.Owner)
			}
			came[d.Owner] = d.OK
		}
	}
	return came
}

func TestQueueMovesBytes(t *testing.T) {
	const n, size = 16, 8192
	s := open(t, t.TempDir(), n*size, unix.O_DIRECT)
	want := pages(n * size)
	for i := range want {
		want[i] = byte(rand.Uint32())
	}
	// Written once by other means: blocks that are not allocated yet would
	// have to wait for that, and come back undone.
	if _, err := s.WriteAt(make([]byte, n*size), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, n)
	for _, write := range []bool{true, false} {
		got := pages(n * size)
		if write {
			got = want
		}
		for i := range n {
			fd, ok := s.Direct(int64(i*size), size, write)
			if !ok {
				t.Fatal("a file that is open with O_DIRECT cannot be queued for")
			}
			if !q.Add(i, fd, write, got[i*size:][:size], int64(i*size)) {
				t.Fatalf("the queue is full after %d requests", i)
			}
		}
		if q.Add("one more", 0, false, got[:size], 0) || q.Watch("a socket", 0) {
			t.Error("a full queue takes more")
		}
		if refused := q.Submit(); len(refused) > 0 {
			t.Fatalf("refused: %v", refused)
		}
		for owner, ok := range reap(t, q, n) {
			// The kernel may find that it would have to wait; that is not wrong,
			// but nothing may be said to be done then.
			if !ok {
				i := owner.(int)
				t.Logf("request %d (write %t) would have had to wait", i, write)
				if write {
					if _, err := s.WriteAt(want[i*size:][:size], int64(i*size)); err != nil {
						t.Fatal(err)
					}
				} else {
					copy(got[i*size:], want[i*size:][:size])
				}
			}
		}
		if !write && !bytes.Equal(got, want) {
			t.Error("what was read is not what was written")
		}
	}
	if came := q.Reap(false); len(came) > 0 {
		t.Errorf("came back though nothing was out: %v", came)
	}
}

// What goes wrong comes back as not done, and stands in nobody's way.
func TestQueueFailures(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mib, unix.O_DIRECT)
	if _, err := s.WriteAt(make([]byte, mib), 0); err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, 8)
	fd, ok := s.Direct(0, 4096, false)
	if !ok {
		t.Fatal("cannot be queued for")
	}
	closed, err := os.Open(filepath.Join(dir, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	number := int(closed.Fd())
	closed.Close()
	p := pages(4 * 4096)
	q.Add("closed", number, false, p[:4096], 0)
	q.Add("well", fd, false, p[4096:8192], 0)
	q.Add("odd address", fd, false, p[8193:12288], 0)
	q.Add("beyond the end", fd, false, p[12288:], mib)
	refused := q.Submit()
	came := map[any]bool{}
	for _, d := range refused {
		came[d.Owner] = d.OK
	}
	for owner, ok := range reap(t, q, 4-len(refused)) {
		came[owner] = ok
	}
	for owner, want := range map[any]bool{"closed": false, "well": true, "odd address": false, "beyond the end": false} {
		if got, there := came[owner]; !there || got != want {
			t.Errorf("%v: done %t (came back %t), want %t", owner, got, there, want)
		}
	}
}

func TestQueueWatchesASocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, 2)
	for round, stir := range []func() error{
		func() error { _, err := far.Write([]byte{1}); return err },
		func() error {
			_, err := near.Read(make([]byte, 1))
			return errors.Join(err, far.Close())
		},
	} {
		if err := raw.Control(func(fd uintptr) { q.Watch("socket", int(fd)) }); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if refused := q.Submit(); len(refused) > 0 || len(q.Reap(false)) > 0 {
				t.Fatal("a socket with nothing to receive came back")
			}
			if err := stir(); err != nil {
				t.Fatal(err)
			}
		} else {
			if err := stir(); err != nil {
				t.Fatal(err)
			}
			q.Submit()
		}
		if came := reap(t, q, 1); len(came) != 1 {
			t.Fatalf("round %d: %v", round, came)
		}
	}
}

// What cannot be queued for is said before: the page cache, parts of a block,
// read-only stores, beyond the end.
func TestDirectSaysNo(t *testing.T) {
	if _, ok := open(t, t.TempDir(), mib, 0).Direct(0, 4096, false); ok {
		t.Error("through the page cache")
	}
	dir := t.TempDir()
	s := open(t, dir, mib, unix.O_DIRECT)
	for _, c := range []struct {
		off int64
		n   int
	}{{0, 0}, {0, 100}, {100, 4096}, {mib, 4096}, {mib - 4096, 8192}, {-4096, 4096}} {
		if _, ok := s.Direct(c.off, c.n, false); ok {
			t.Errorf("%d bytes at %d", c.n, c.off)
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, "disk.img"), os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		t.Fatal(err)
	}
	ro, err := backing.NewFile(f, backing.FileOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := ro.Direct(0, 4096, true); ok {
		t.Error("a write to a read-only store")
	}
	if _, ok := ro.Direct(0, 4096, false); !ok {
		t.Error("not even a read of a read-only store")
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := ro.Direct(0, 4096, false); ok {
		t.Error("a closed store")
	}
}

func TestQueueDoesNotAllocate(t *testing.T) {
	s := open(t, t.TempDir(), mib, unix.O_DIRECT)
	if _, err := s.WriteAt(make([]byte, mib), 0); err != nil {
		t.Fatal(err)
	}
	q := newQueue(t, 4)
	p := pages(4096)
	owner := &struct{ n int }{}
	if n := testing.AllocsPerRun(200, func() {
		fd, _ := s.Direct(0, len(p), false)
		q.Add(owner, fd, false, p, 0)
		if len(q.Submit()) == 0 {
			q.Reap(true)
		}
	}); n > 0 {
		t.Errorf("%.1f allocations a request", n)
	}
}
