package host

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWatchArrays: md that is loaded counts as a change, and the watch ends
// with its context, whether md is there or not.
func TestWatchArrays(t *testing.T) {
	for _, loaded := range []bool{false, true} {
		mdstat := filepath.Join(t.TempDir(), "mdstat")
		if loaded {
			if err := os.WriteFile(mdstat, []byte("Personalities :\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		changes, ended := make(chan struct{}, 8), make(chan error, 1)
		go func() { ended <- WatchArrays(ctx, mdstat, func() { changes <- struct{}{} }) }()
		if loaded {
			select {
			case <-changes:
			case <-time.After(5 * time.Second):
				t.Fatal("md is there, and nobody heard of it")
			}
		}
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("it does not end with its context")
		}
		if len(changes) > 0 {
			t.Error("a file that does not change was told as changed")
		}
	}
}
