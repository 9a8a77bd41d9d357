package lio

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/kernfs"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

const (
	iqn   = "iqn.2026-11.org.esos-project:test"
	alice = "iqn.1993-08.org.debian:01:alice"
	bob   = "iqn.1993-08.org.debian:01:bob"
	tpg1  = "iscsi/" + iqn + "/tpgt_1"
)

// bench is an engine on an imitated kernel.
type bench struct {
	*testing.T
	*Engine
	kernel *liofake.Tree
	opt    Options
}

func newBench(t *testing.T, o liofake.Options) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{T: t, kernel: liofake.New(o)}
	b.opt = Options{
		Kernel: b.kernel, RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"),
		Poll: time.Millisecond,
	}
	b.ok(os.MkdirAll(b.opt.DataDir, 0o700))
	b.start()
	return b
}

// start starts the engine (again), as another daemon would.
func (b *bench) start() {
	b.Helper()
	e, err := Start(b.Context(), b.opt)
	b.ok(err)
	b.Engine = e
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// refused wants an error that has all of some texts.
func (b *bench) refused(err error, texts ...string) {
	b.Helper()
	if err == nil {
		b.Errorf("nobody refused it; want an error with %q", texts)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			b.Errorf("error %q lacks %q", err, text)
		}
	}
}

func (b *bench) reads(file, want string) {
	b.Helper()
	got, err := b.kernel.ReadFile(file)
	if err != nil || strings.TrimSuffix(got, "\n") != want {
		b.Errorf("%s reads %q, %v; want %q", file, got, err, want)
	}
}

// disk declares a device as the daemon completes it, and makes its image.
func (b *bench) disk(name string, h config.Handler) config.Device {
	b.Helper()
	d := config.Document{Version: 1, Name: "t", ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", Devices: []config.Device{{Name: name, Handler: h}}}
	b.ok(config.Complete(&d, nil))
	dev := d.Devices[0]
	dev.Size = 1 << 20
	if h == config.FileIO {
		path := filepath.Join(b.opt.DataDir, dev.Path)
		b.ok(os.MkdirAll(filepath.Dir(path), 0o700))
		b.ok(os.WriteFile(path, make([]byte, 1<<20), 0o600))
	}
	return dev
}

// serve puts a portal, a target and three disks.
func (b *bench) serve() {
	b.Helper()
	ctx := b.Context()
	for _, name := range []string{"d0", "d1", "d2"} {
		b.ok(b.PutDevice(ctx, b.disk(name, config.FileIO)))
	}
	b.ok(b.PutPortal(ctx, config.Portal{Name: "main", Address: "127.0.0.1:3260"}))
	b.ok(b.PutTarget(ctx, config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}}))
}

func (b *bench) group(name string, initiators []string, luns ...config.LUN) {
	b.Helper()
	b.ok(b.PutGroup(b.Context(), iqn, config.Group{Name: name, Initiators: initiators}))
	for _, l := range luns {
		b.ok(b.PutLUN(b.Context(), iqn, name, l))
	}
}

func (b *bench) sees(initiator string, want map[string]string) {
	b.Helper()
	if diff := cmp.Diff(want, b.kernel.Seen(tpg1, initiator)); diff != "" {
		b.Errorf("what %s sees (-want +got):\n%s", initiator, diff)
	}
}

// TreeVariable names the kernel's own tree: with it, the suite runs against the
// real thing. It must serve nothing, and port 3261 of the loopback be free.
const TreeVariable = "ESOS_LIO_TREE"

// TestSuiteOnKernel needs a machine that may lose its targets: a virtual one.
func TestSuiteOnKernel(t *testing.T) {
	root := os.Getenv(TreeVariable)
	if root == "" {
		t.Skipf("NOT TESTED: no kernel is at hand (%s); test/kernel has one", TreeVariable)
	}
	kernel := kernfs.Tree{Root: root}
	if err := kernel.Load(t.Context(), "target_core_mod"); err != nil {
		t.Fatal(err)
	}
	portals := map[string]string{"main": "127.0.0.1:3261", "second": "127.0.0.2:3261"}
	enginetest.Run(t, func(t *testing.T) enginetest.Subject {
		dir := t.TempDir()
		e, err := Start(t.Context(), Options{
			Kernel: kernel, SameRoot: kernfs.SameRoot, Poll: 10 * time.Millisecond,
			RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: dir,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := e.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		return enginetest.Subject{
			Engine: e, DataDir: dir, Portal: portals["main"], Second: portals["second"], Trim: trim,
			Address: func(_ *testing.T, portal string) string { return portals[portal] },
			Lacks:   enginetest.Lacks{Growth: true, Memory: true, Patterns: true, Portals: true, Announce: true, Kinds: true},
		}
	})
}

func TestSuite(t *testing.T) {
	for name, o := range map[string]liofake.Options{"Linux 6.1": {}, "Linux 6.12": {RTPI: true}} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T) enginetest.Subject {
				b := newBench(t, o)
				return enginetest.Subject{Engine: b.Engine, DataDir: b.opt.DataDir, Portal: "127.0.0.1:3260", Trim: trim}
			})
		})
	}
}

// trim takes out of the suite's documents what LIO refuses.
func trim(d *config.Document) {
	d.Devices = slices.DeleteFunc(d.Devices, func(d config.Device) bool { return d.Handler == config.CDROM })
	for i := range d.ISCSI.Portals {
		d.ISCSI.Portals[i].Announce = ""
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		t.Auth.Algorithms, t.Parameters.MaxSessions, t.LUNs = nil, 0, nil
		t.Alias = strings.ReplaceAll(t.Alias, ",", "")
		for j := range t.Groups {
			if g := &t.Groups[j]; strings.ContainsAny(strings.Join(g.Initiators, ""), "*!") {
				g.Initiators = []string{alice}
			}
		}
	}
}

// TestPutAgainWritesNothing: whatever is there already is not asked for again.
func TestPutAgainWritesNothing(t *testing.T) {
	for name, o := range map[string]liofake.Options{"old": {}, "new": {RTPI: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, o)
			everything(b)
			b.kernel.Requests()
			before := dirText(t, b.opt.RunDir)
			everything(b)
			b.start()
			everything(b)
			if again := b.kernel.Requests(); len(again) > 0 {
				t.Errorf("put again, %d requests: %q", len(again), again)
			}
			if diff := cmp.Diff(before, dirText(t, b.opt.RunDir)); diff != "" {
				t.Errorf("words changed: %s", diff)
			}
		})
	}
}

func dirText(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	if err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		out[p] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// everything puts one of each.
func everything(b *bench) {
	b.Helper()
	for _, step := range steps(b) {
		b.ok(step())
	}
}

// steps are what a plan would do for a document that has one of each.
func steps(b *bench) []func() error {
	ctx := b.Context()
	named := config.Target{
		Name: iqn, Alias: "named", RelativeIDs: map[int]int{1: 7, 2: 8},
		Auth: config.Auth{
			Users:  []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more", Initiators: []string{alice}}, {Name: "v", Secret: "twelve-bytes-of-bob"}},
			Mutual: &config.CHAPUser{Name: "m", Secret: "twelve-bytes-of-ours"},
		},
		Parameters: config.Parameters{MaxBurstLength: 65536, NopInInterval: -1, QueuedCommands: 32},
	}
	named.Auth.Users[1].Initiators = []string{bob}
	shown := config.Target{Name: iqn + ":all", RelativeIDs: map[int]int{1: 9, 2: 10}}
	off := named
	off.Disabled = true
	put := []func() error{}
	do := func(f func() error) { put = append(put, f) }
	for _, name := range []string{"d0", "d1", "n", "m"} {
		d := b.disk(name, map[string]config.Handler{"d0": config.FileIO, "d1": config.FileIO, "n": config.NullIO, "m": config.Memory}[name])
		do(func() error { return b.PutDevice(ctx, d) })
	}
	do(func() error { return b.PutPortal(ctx, config.Portal{Name: "one", Address: "127.0.0.1:3260"}) })
	do(func() error {
		return b.PutPortal(ctx, config.Portal{Name: "two", Address: "[::1]:3260", Group: 2})
	})
	do(func() error {
		return b.PutDiscovery(ctx, config.Auth{Users: []config.CHAPUser{{Name: "f", Secret: "twelve-bytes-to-find"}}})
	})
	do(func() error { return b.PutTarget(ctx, named) })
	do(func() error { return b.PutTarget(ctx, shown) })
	do(func() error {
		return b.PutGroup(ctx, iqn, config.Group{Name: "g", Initiators: []string{alice, bob}})
	})
	do(func() error { return b.PutGroup(ctx, iqn, config.Group{Name: "nobody"}) })
	do(func() error { return b.PutLUN(ctx, iqn, "nobody", config.LUN{LUN: 1, Device: "d0"}) })
	do(func() error { return b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 0, Device: "d0"}) })
	do(func() error { return b.PutLUN(ctx, iqn, "g", config.LUN{LUN: 5, Device: "n", ReadOnly: true}) })
	do(func() error { return b.PutGroup(ctx, shown.Name, config.Group{Name: "e", Initiators: []string{"*"}}) })
	do(func() error { return b.PutLUN(ctx, shown.Name, "e", config.LUN{LUN: 0, Device: "m"}) })
	do(func() error { return b.PutLUN(ctx, shown.Name, "e", config.LUN{LUN: 3, Device: "d1"}) })
	do(func() error {
		return b.PutDeviceGroup(ctx, config.DeviceGroup{Name: "pair", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{
			{Name: "here", ID: 1, State: "nonoptimized", Targets: []config.GroupTarget{{Name: iqn}}},
			{Name: "there", ID: 2, Preferred: true, Targets: []config.GroupTarget{{Name: "iqn.peer", RelativeID: 77}}},
		}})
	})
	return put
}

// TestCutOffAnywhere cuts a whole setup off after each request that it makes;
// then another engine finds what is there and the same setup completes it.
func TestCutOffAnywhere(t *testing.T) {
	whole := newBench(t, liofake.Options{RTPI: true})
	whole.kernel.Requests() // of the start
	everything(whole)
	n := len(whole.kernel.Requests())
	if n < 100 {
		t.Fatalf("only %d requests", n)
	}
	want := whole.observed()
	for i := range n {
		b := newBench(t, liofake.Options{RTPI: true})
		b.kernel.FailAfter(i)
		failed := false
		for _, step := range steps(b) {
			if failed = step() != nil; failed {
				break
			}
		}
		if !failed {
			t.Fatalf("cut off after %d requests: nothing failed", i)
		}
		b.kernel.FailAfter(-1)
		b.start()
		if _, err := b.Observe(t.Context()); err != nil {
			t.Errorf("cut off after %d requests: %v", i, err)
		}
		everything(b)
		if diff := cmp.Diff(want, b.observed()); diff != "" {
			t.Fatalf("cut off after %d requests (-want +got):\n%s", i, diff)
		}
		if a, c := strings.ReplaceAll(whole.kernel.Dump(), whole.opt.DataDir, ""), strings.ReplaceAll(b.kernel.Dump(), b.opt.DataDir, ""); dumpDiffers(a, c) {
			t.Fatalf("cut off after %d requests: %s", i, cmp.Diff(a, c))
		}
	}
}

// dumpDiffers compares trees but for the place of their dbroot.
func dumpDiffers(a, b string) bool {
	cut := func(s string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(s, "\n"), func(l string) bool { return strings.HasPrefix(l, "dbroot") }), "\n")
	}
	return cut(a) != cut(b)
}

func (b *bench) observed() any {
	b.Helper()
	s, err := b.Observe(b.Context())
	b.ok(err)
	return s
}
