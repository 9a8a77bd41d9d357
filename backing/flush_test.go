package backing

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel tells a failed write-back once. Nobody else who waits for a flush
// at that time may hear that all is well.
func TestEverybodyHearsOfAFailedFlush(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	s, err := NewFile(f, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var told, atOnce atomic.Int32
	s.datasync = func(int) error {
		if atOnce.Add(1) > 1 {
			t.Error("two flushes at a time")
		}
		defer atOnce.Add(-1)
		first := told.Add(1) == 1
		time.Sleep(20 * time.Millisecond)
		if first {
			return unix.EIO
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := s.Sync(); err == nil {
				t.Error("a flush beside one that failed is told to be fine")
			}
		})
	}
	wg.Wait()
}

// Whoever asks for a flush gets one that began after that, and shares it.
func TestFlushesAreShared(t *testing.T) {
	var s flushes
	var begun, runs atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				before := begun.Load()
				err := s.do(func() error {
					begun.Add(1)
					runs.Add(1)
					time.Sleep(100 * time.Microsecond)
					return nil
				})
				if now := begun.Load(); err != nil || now <= before {
					t.Errorf("no flush began: %d, %d, %v", before, now, err)
				}
			}
		})
	}
	wg.Wait()
	if n := runs.Load(); n > 500 {
		t.Errorf("%d runs for 1000 who asked", n)
	}
}
