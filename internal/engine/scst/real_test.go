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

// realSuite runs the suite on a real SCST (ESOS_SCST_TREE=/sys/kernel/scst_tgt),
// whose modules it loads as the daemon would. It serves at ESOS_SCST_PORTAL
// (127.0.0.1:3260 without), and takes everything away again that it made. What
// was served before must not be: it is SCST's for all of the machine.
func realSuite(t *testing.T, root string) {
	portal, second := os.Getenv("ESOS_SCST_PORTAL"), "127.0.0.2:3260"
	if portal == "" {
		portal = "127.0.0.1:3260"
	}
	kernel := kernfs.Tree{Root: root}
	if err := kernel.Load(t.Context(), "scst"); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		dir, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		opt := Options{
			Kernel: kernel, KernelLog: kernfs.Messages{}, Daemon: scstd.Daemon{}, Load: kernfs.Modprobe, SameRoot: kernfs.SameRoot,
			RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"), Poll: 50 * time.Millisecond,
		}
		if err := os.MkdirAll(opt.DataDir, 0o700); err != nil {
			t.Fatal(err)
		}
		e, err := Start(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // the test's own context has ended
			if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		return enginetest.Subject{
			Engine: e, DataDir: opt.DataDir, Portal: portal, Trim: trim, NoMemory: true,
			Second: second, Lacks: enginetest.Lacks{Portals: true, Announce: true},
			Address: func(_ *testing.T, name string) string {
				if name == "second" {
					return second
				}
				return portal
			},
			Untested: map[string]string{
				"StatisticsOutliveSessions": "SCST counts by session, and not how long commands take",
				"EventsTellOfSessions":      "SCST tells of refused logins in its log only",
			},
		}
	})
}
