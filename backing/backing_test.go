package backing_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/esos-project/esos/backing"
)

const mib = 1 << 20

// stores are the ways to keep bytes; every test of the suite runs on each.
func stores(t *testing.T) map[string]func(t *testing.T, size int64) backing.Store {
	return map[string]func(t *testing.T, size int64) backing.Store{
		"memory": func(_ *testing.T, size int64) backing.Store { return backing.NewMemory(size) },
		"file":   func(t *testing.T, size int64) backing.Store { return open(t, t.TempDir(), size, 0) },
		"direct": func(t *testing.T, size int64) backing.Store { return open(t, t.TempDir(), size, unix.O_DIRECT) },
		"tmpfs": func(t *testing.T, size int64) backing.Store {
			dir, err := os.MkdirTemp("/dev/shm", "esos-backing-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return open(t, dir, size, 0)
		},
	}
}

func open(t *testing.T, dir string, size int64, flags int) *backing.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "disk.img"), os.O_RDWR|os.O_CREATE|flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	s, err := backing.NewFile(f, backing.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestStoreIsAnArrayOfBytes compares every store with a plain slice.
func TestStoreIsAnArrayOfBytes(t *testing.T) {
	const size, unit = 1 * mib, 4096
	for name, make1 := range stores(t) {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := make1(t, size)
				model := make([]byte, size)
				for range rapid.IntRange(1, 20).Draw(rt, "steps") {
					off := rapid.Int64Range(0, size/unit-1).Draw(rt, "block") * unit
					n := rapid.Int64Range(1, min(64, (size-off)/unit)).Draw(rt, "blocks") * unit
					switch rapid.SampledFrom([]string{"write", "try write", "zero", "punch", "read", "try read", "sync"}).Draw(rt, "op") {
					case "write":
						p := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "value")}, int(n))
						if got, err := s.WriteAt(p, off); err != nil || int64(got) != n {
							rt.Fatalf("write: %d, %v", got, err)
						}
						copy(model[off:], p)
					case "try write":
						p := bytes.Repeat([]byte{rapid.Byte().Draw(rt, "value")}, int(n))
						pr, ok := s.(backing.Prompt)
						if !ok {
							continue
						}
						got, err := pr.TryWriteAt(p, off)
						if err != nil && !errors.Is(err, backing.ErrWouldBlock) {
							rt.Fatalf("try write: %v", err)
						}
						copy(model[off:], p[:got])
					case "zero", "punch":
						if err := s.Zero(off, n, rapid.Bool().Draw(rt, "deallocate")); err != nil {
							rt.Fatal(err)
						}
						clear(model[off : off+n])
					case "read":
						p := make([]byte, n)
						if got, err := s.ReadAt(p, off); err != nil || int64(got) != n {
							rt.Fatalf("read: %d, %v", got, err)
						}
						if !bytes.Equal(p, model[off:off+n]) {
							rt.Fatalf("read at %d differs", off)
						}
					case "try read":
						p := make([]byte, n)
						got, err := s.(backing.Prompt).TryReadAt(p, off)
						if err != nil && !errors.Is(err, backing.ErrWouldBlock) {
							rt.Fatal(err)
						}
						if !bytes.Equal(p[:got], model[off:off+int64(got)]) {
							rt.Fatalf("try read at %d differs", off)
						}
					case "sync":
						if err := s.Sync(); err != nil {
							rt.Fatal(err)
						}
					}
				}
				all := make([]byte, size)
				if _, err := s.ReadAt(all, 0); err != nil || !bytes.Equal(all, model) {
					rt.Fatalf("in the end the contents differ (%v)", err)
				}
				_ = s.Close()
			})
		})
	}
}

func TestBeyondTheEndMovesNothing(t *testing.T) {
	for name, make1 := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := make1(t, mib)
			p := make([]byte, 8192)
			for _, off := range []int64{mib - 4096, mib, -1, 1 << 62} {
				if n, err := s.ReadAt(p, off); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("read at %d: %d, %v", off, n, err)
				}
				if n, err := s.WriteAt(p, off); n != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("write at %d: %d, %v", off, n, err)
				}
				if err := s.Zero(off, 8192, true); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("zero at %d: %v", off, err)
				}
				if _, _, err := s.Extent(off, 8192); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("extent at %d: %v", off, err)
				}
			}
		})
	}
}

func TestExtentTellsWhatIsAllocated(t *testing.T) {
	for name, make1 := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := make1(t, mib)
			const from, n = 256 << 10, 128 << 10
			if _, err := s.WriteAt(bytes.Repeat([]byte{1}, n), from); err != nil {
				t.Fatal(err)
			}
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			type extent struct {
				allocated bool
				length    int64
			}
			for off, want := range map[int64]extent{0: {false, from}, from: {true, n}, from + n: {false, mib - from - n}} {
				a, l, err := s.Extent(off, mib-off)
				if err != nil || (extent{a, l}) != want {
					t.Errorf("extent at %d: %v %d, %v; want %v", off, a, l, err, want)
				}
			}
			if err := s.Zero(from, n, true); err != nil {
				t.Fatal(err)
			}
			if a, l, err := s.Extent(0, mib); a || l != mib || err != nil {
				t.Errorf("after deallocation: %v %d, %v", a, l, err)
			}
		})
	}
}

func TestReadOnlyFileRefusesWrites(t *testing.T) {
	name := filepath.Join(t.TempDir(), "ro.img")
	if err := os.WriteFile(name, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := backing.NewFile(f, backing.FileOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.WriteAt(make([]byte, 512), 0); !errors.Is(err, unix.EROFS) {
		t.Errorf("write: %v", err)
	}
	if err := s.Zero(0, 512, true); !errors.Is(err, unix.EROFS) {
		t.Errorf("zero: %v", err)
	}
}

func TestFileThatWasCutShortIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mib, 0)
	if err := os.Truncate(filepath.Join(dir, "disk.img"), 4096); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8192)
	if n, err := s.ReadAt(p, 0); n != 4096 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %d, %v", n, err)
	}
}

func TestRefreshSeesGrowth(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mib, 0)
	if err := os.Truncate(filepath.Join(dir, "disk.img"), 2*mib); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Refresh(); n != 2*mib || err != nil {
		t.Fatalf("refresh: %d, %v", n, err)
	}
	if _, err := s.WriteAt(make([]byte, 512), 2*mib-512); err != nil {
		t.Error(err)
	}
}

// TestLateIONeverReachesAnotherFile closes a store and opens another file,
// which would be given the same descriptor number.
func TestLateIONeverReachesAnotherFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, mib, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.img")
	f, err := os.Create(other)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := s.WriteAt([]byte("late"), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if b, err := os.ReadFile(other); err != nil || len(b) != 0 {
		t.Errorf("the other file holds %q, %v", b, err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second close: %v", err)
	}
}

func TestMemoryGrowsAndKeeps(t *testing.T) {
	m := backing.NewMemory(mib)
	if _, err := m.WriteAt([]byte("kept"), 4096); err != nil {
		t.Fatal(err)
	}
	m.Grow(2 * mib)
	p := make([]byte, 4)
	if _, err := m.ReadAt(p, 4096); err != nil || string(p) != "kept" || m.Size() != 2*mib {
		t.Errorf("%q %d %v", p, m.Size(), err)
	}
	m.Grow(mib)
	if m.Size() != 2*mib {
		t.Error("it shrank")
	}
}

func TestNullReadsZeroes(t *testing.T) {
	s := backing.NewNull(mib)
	p := []byte{1, 2, 3}
	if _, err := s.WriteAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadAt(p, 0); err != nil || !bytes.Equal(p, make([]byte, 3)) {
		t.Errorf("%v %v", p, err)
	}
}

// TestFastPathDoesNotAllocate holds the promise of the hot path.
func TestFastPathDoesNotAllocate(t *testing.T) {
	for name, make1 := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s := make1(t, mib)
			p := make([]byte, 4096)
			pr := s.(backing.Prompt)
			_, _ = s.WriteAt(p, 0)
			if n := testing.AllocsPerRun(100, func() {
				_, _ = pr.TryReadAt(p, 0)
				_, _ = pr.TryWriteAt(p, 0)
			}); n > 0 {
				t.Errorf("%.1f allocations", n)
			}
		})
	}
}
