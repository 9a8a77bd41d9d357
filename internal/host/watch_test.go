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
	heard, done := make(chan struct{}, 10000), make(chan error, 1)
	go func() { done <- WatchDir(ctx, dir, func() { heard <- struct{}{} }) }()
	// The watch is in place at some moment after the start: write until heard.
	wait := func(what, file string) {
		t.Helper()
		for range 500 {
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			select {
			case <-heard:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		t.Fatalf("%s is not told", what)
	}
	wait("a written file", filepath.Join(dir, "reservations"))
	deep := filepath.Join(dir, "lio", "pr")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	quiet := func() {
		for {
			select {
			case <-heard:
			case <-time.After(100 * time.Millisecond):
				return
			}
		}
	}
	quiet() // of the directories themselves
	wait("a file in a directory that came later", filepath.Join(deep, "aptpl_1"))
	quiet()
	if err := os.WriteFile(filepath.Join(deep, "aptpl_1"), []byte("yy"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
	case <-time.After(5 * time.Second):
		t.Error("a file that is written again is not told")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	if err := WatchDir(t.Context(), filepath.Join(dir, "none"), func() {}); err == nil {
		t.Error("a directory that is not there is watched")
	}
}
