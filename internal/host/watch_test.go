package host

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatchDir(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	heard, done := make(chan struct{}, 100), make(chan error, 1)
	go func() { done <- WatchDir(ctx, dir, func() { heard <- struct{}{} }) }()
	// The watch is in place at some moment after the start: write until heard.
	for i := 0; ; i++ {
		if err := os.WriteFile(filepath.Join(dir, "reservations"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		select {
		case <-heard:
		case <-time.After(20 * time.Millisecond):
			if i < 500 {
				continue
			}
			t.Fatal("a written file is not told")
		}
		break
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	if err := WatchDir(t.Context(), filepath.Join(dir, "none"), func() {}); err == nil {
		t.Error("a directory that is not there is watched")
	}
}
