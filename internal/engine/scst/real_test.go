package scst

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/kernfs"
	"github.com/esos-project/esos/internal/host/scstd"
)

// realSuite runs the suite on a real SCST, whose modules are loaded. It serves
// at ESOS_SCST_PORTAL (127.0.0.1:3260 without), and takes everything away again
// that it made.
func realSuite(t *testing.T, root string) {
	portal := os.Getenv("ESOS_SCST_PORTAL")
	if portal == "" {
		portal = "127.0.0.1:3260"
	}
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		opt := Options{
			Kernel: kernfs.Tree{Root: root}, KernelLog: kernfs.Messages{}, Daemon: scstd.Daemon{}, SameRoot: kernfs.SameRoot,
			RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"), Poll: 50 * time.Millisecond,
		}
		if err := os.MkdirAll(opt.DataDir, 0o700); err != nil {
			t.Fatal(err)
		}
		e, err := Start(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return enginetest.Subject{
			Engine: e, DataDir: opt.DataDir, Portal: portal, Trim: trim, NoMemory: true,
			Address: func(*testing.T, string) string { return portal },
		}
	})
}
