package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// noon is when snapshots are taken in tests.
func noon() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

func volumes(names ...string) (all []config.Device) {
	for _, n := range names {
		all = append(all, config.Device{Name: n, Handler: config.BlockIO, Path: "/dev/vg-0/" + n})
	}
	return all
}

func documentOf(devices ...config.Device) *config.Document {
	return &config.Document{Version: config.Version, Devices: devices}
}

// writer writes to volume a and then, when that is done, to b, before and
// after each program that runs: as a database does that writes its log before
// its tables.
type writer struct {
	*storagefake.Machine
	thin *storagefake.Thin
	a, b int
}

func (w *writer) write() {
	for range 2 {
		if w.a == w.b {
			if w.thin.Write("vg-0", "a", w.a+1) {
				w.a++
			}
		} else if w.thin.Write("vg-0", "b", w.a) {
			w.b = w.a
		}
	}
}

func (w *writer) Output(ctx context.Context, c host.Call) ([]byte, error) {
	w.write()
	out, err := w.Machine.Output(ctx, c)
	w.write()
	return out, err
}

// What the snapshots of two devices hold could have been there at one moment,
// though somebody writes all the time, and in whichever order they are taken.
func TestOneMoment(t *testing.T) {
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		m := storagefake.New()
		thin := m.Thin("vg-0/a", "vg-0/b", "vg-0/c")
		w := &writer{Machine: m, thin: thin}
		s := New(Options{Machine: w, DataDir: "/data", Now: noon})
		made, err := s.Take(t.Context(), Request{Name: "manual", Devices: volumes(order...)})
		if err != nil {
			t.Fatal(err)
		}
		a, b := thin.Read("vg-0", "a.manual-20261128-120000"), thin.Read("vg-0", "b.manual-20261128-120000")
		if a-b != 0 && a-b != 1 {
			t.Errorf("order %v: a's snapshot has write %d, b's %d: b has what was written after what a lacks, or lacks what a was told", order, a, b)
		}
		if w.a == a {
			t.Error("nothing was written after the snapshots: the test is blind")
		}
		if held := m.Suspended(); len(held) > 0 {
			t.Errorf("still held: %v", held)
		}
		if _, err := m.ReadFile("/data/held.json"); err == nil {
			t.Error("the marker is left")
		}
		for _, n := range []string{"a", "b"} {
			if v := thin.Volume("vg-0", n+".manual-20261128-120000"); !v.ReadOnly || v.Active {
				t.Errorf("the snapshot can be written to, or is active: %+v", v)
			}
		}
		if len(made) != 2 || made[0].ID() != order[0]+"@manual-20261128-120000" {
			t.Errorf("made %+v", made)
		}
	}
}

func TestTakeListDelete(t *testing.T) {
	m := storagefake.New()
	thin := m.Thin("vg-0/a", "vg-0/b")
	s := New(Options{Machine: m, DataDir: "/data", Now: noon})
	doc := documentOf(volumes("a", "b")...)
	if _, err := s.Take(t.Context(), Request{Name: "nightly", Devices: doc.Devices, Schedule: "nightly"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(t.Context(), Request{Name: "nightly", Devices: doc.Devices}); !errors.Is(err, config.ErrExists) {
		t.Errorf("a second one of the same name: %v", err)
	}
	all, err := s.List(t.Context(), doc)
	if err != nil || len(all) != 2 {
		t.Fatalf("list: %v %+v", err, all)
	}
	want := Snapshot{Device: "a", Name: "nightly-20261128-120000", Schedule: "nightly", Taken: noon(), Path: "/dev/vg-0/a.nightly-20261128-120000", Size: 1 << 30}
	got := all[0]
	got.Volume = nil
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("listed %+v, want %+v", got, want)
	}
	if v := thin.Volume("vg-0", "a.nightly-20261128-120000"); !v.ReadOnly || v.Active {
		t.Errorf("the snapshot can be written to, or is active: %+v", v)
	}

	used := doc.Clone()
	used.Devices = append(used.Devices, config.Device{Name: "old", Handler: config.BlockIO, Path: all[0].Path})
	if err := s.Delete(t.Context(), used, "a", want.Name); !errors.Is(err, ErrUsed) || !strings.Contains(fmt.Sprint(err), "device/old") {
		t.Errorf("delete of one that a device serves: %v", err)
	}
	used = doc.Clone()
	used.Storage.VolumeGroups = []config.VolumeGroup{{Name: "vg-0", Volumes: []config.Volume{{Name: "copy", CloneOf: "a." + want.Name}}}}
	if err := s.Delete(t.Context(), used, "a", want.Name); !errors.Is(err, ErrUsed) || !strings.Contains(fmt.Sprint(err), "volume/vg-0/copy") {
		t.Errorf("delete of one that is to be cloned: %v", err)
	}
	thin.Volume("vg-0", "b."+want.Name).Open = true
	if err := s.Delete(t.Context(), doc, "b", want.Name); !errors.Is(err, ErrUsed) {
		t.Errorf("delete of one that is open: %v", err)
	}
	if err := s.Delete(t.Context(), doc, "a", want.Name); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), doc, "a", want.Name); !errors.Is(err, config.ErrNotFound) {
		t.Errorf("delete of one that is gone: %v", err)
	}
	if got, want := thin.Names(), []string{"vg-0/a", "vg-0/b", "vg-0/b.nightly-20261128-120000"}; !slices.Equal(got, want) {
		t.Errorf("left: %v, want %v", got, want)
	}
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		request Request
		prepare func(*storagefake.Machine, *storagefake.Thin)
		want    string
	}{
		"no name":           {request: Request{Devices: volumes("a")}, want: "needs a name"},
		"a name of LVM's":   {request: Request{Name: "x_tdata", Devices: volumes("a")}, want: "is no name of a snapshot"},
		"a name with slash": {request: Request{Name: "../x", Devices: volumes("a")}, want: "is no name of a snapshot"},
		"no devices":        {request: Request{Name: "x"}, want: "no device was named"},
		"twice":             {request: Request{Name: "x", Devices: volumes("a", "a")}, want: "named twice"},
		"no volume":         {request: Request{Name: "x", Devices: volumes("a", "gone")}, want: "no active volume of LVM"},
		"a tape":            {request: Request{Name: "x", Devices: []config.Device{{Name: "t", Handler: config.PassTape}}}, want: "is of handler dev_tape"},
		"images together":   {request: Request{Name: "x", Devices: append(volumes("a"), config.Device{Name: "f", Handler: config.FileIO})}, want: "cannot be held"},
		"not thin": {request: Request{Name: "x", Devices: volumes("a")}, want: "is not a thin one",
			prepare: func(_ *storagefake.Machine, t *storagefake.Thin) { t.Volume("vg-0", "a").Pool = "" }},
		"full": {request: Request{Name: "x", Devices: volumes("a")}, want: "of thin pool vg-0/pool is 96 % full",
			prepare: func(_ *storagefake.Machine, t *storagefake.Thin) { t.Full = "95.6" }},
		"held by others": {request: Request{Name: "x", Devices: volumes("a")}, want: "dmsetup resume vg--0-a",
			prepare: func(m *storagefake.Machine, _ *storagefake.Thin) { m.Look("/dev/vg-0/a").Suspended = true }},
		"too long": {request: Request{Name: strings.Repeat("x", 32), Devices: volumes(strings.Repeat("n", 64))}, want: "is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			m := storagefake.New()
			thin := m.Thin("vg-0/a", "vg-0/b", "vg-0/"+strings.Repeat("n", 64))
			if tt.prepare != nil {
				tt.prepare(m, thin)
			}
			_, err := New(Options{Machine: m, DataDir: "/data", Now: noon}).Take(t.Context(), tt.request)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if calls := m.Calls(); len(calls) > 0 {
				t.Errorf("something was changed: %v", calls)
			}
		})
	}
}

// Whichever call fails, before or after it did its work: nothing stays held,
// and no snapshot of a group that failed stays.
func TestFaults(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			m := storagefake.New()
			thin := m.Thin("vg-0/a", "vg-0/b", "vg-1/c")
			s := New(Options{Machine: m, DataDir: "/data", Now: noon})
			devices := append(volumes("a", "b"), config.Device{Name: "c", Handler: config.BlockIO, Path: "/dev/vg-1/c"})
			m.FailAt(n, after)
			_, err := s.Take(t.Context(), Request{Name: "x", Devices: devices})
			if held := m.Suspended(); len(held) > 0 {
				t.Errorf("failure %d (after %v): %v are held; %v", n, after, held, m.Calls())
			}
			if err != nil && len(thin.Names()) != 3 {
				t.Errorf("failure %d (after %v): %v, and left %v", n, after, err, thin.Names())
			}
			all, _ := s.List(t.Context(), documentOf(devices...))
			if err == nil && len(all) != 3 || len(thin.Lost()) > 0 {
				t.Errorf("failure %d (after %v): %v, and there are %v; lost %v", n, after, err, all, thin.Lost())
			}
			if !m.Injected() {
				break
			}
			m.FailAt(0, false)
			if err := s.ResumeLeft(t.Context()); err != nil {
				t.Errorf("failure %d (after %v): %v", n, after, err)
			}
			if _, err := m.ReadFile("/data/held.json"); err == nil {
				t.Errorf("failure %d (after %v): the marker is left", n, after)
			}
			if _, err := s.Take(t.Context(), Request{Name: "y", Devices: devices}); err != nil {
				t.Errorf("failure %d (after %v): the next one: %v", n, after, err)
			}
		}
	}
}

// killed is a machine for whoever is killed after some changes.
type killed struct {
	*storagefake.Machine
	left int
}

func (w *killed) do(what func() error) error {
	if w.left == 0 {
		return errors.New("killed")
	}
	before := len(w.Calls())
	err := what()
	if len(w.Calls()) > before {
		w.left--
	}
	return err
}

func (w *killed) Output(ctx context.Context, c host.Call) (out []byte, err error) {
	err = w.do(func() error { out, err = w.Machine.Output(ctx, c); return err })
	return out, err
}

func (w *killed) Save(path string, data []byte, mode fs.FileMode) error {
	return w.do(func() error { return w.Machine.Save(path, data, mode) })
}

func (w *killed) Delete(path string) error {
	return w.do(func() error { return w.Machine.Delete(path) })
}

// Wherever the daemon is killed, the next one puts it right: nothing is held,
// and what is listed as a snapshot is of one moment.
func TestKilled(t *testing.T) {
	for n := 0; ; n++ {
		m := storagefake.New()
		thin := m.Thin("vg-0/a", "vg-0/b")
		k := &killed{m, n}
		_, err := New(Options{Machine: k, DataDir: "/data", Now: noon}).Take(t.Context(), Request{Name: "x", Devices: volumes("a", "b")})
		if k.left > 0 {
			if err != nil || n < 10 {
				t.Errorf("after %d changes: %v", n, err)
			}
			break
		}
		s := New(Options{Machine: m, DataDir: "/data", Now: noon})
		if err := s.ResumeLeft(t.Context()); err != nil {
			t.Errorf("killed after %d: %v", n, err)
		}
		all, err := s.List(t.Context(), documentOf(volumes("a", "b")...))
		if err != nil || len(all) != 0 && len(all) != 2 || len(thin.Names()) != 2+len(all) || len(thin.Lost()) > 0 || len(m.Suspended()) > 0 {
			t.Errorf("killed after %d: %v, listed %v of %v, lost %v, held %v", n, err, all, thin.Names(), thin.Lost(), m.Suspended())
		}
	}
}

// A pool whose transactions LVM and the kernel count differently is left alone:
// LVM's numbers of volumes may be other volumes'.
func TestPoolDisagrees(t *testing.T) {
	m := storagefake.New()
	thin := m.Thin("vg-0/a", "vg-0/b")
	thin.Disagree("vg-0")
	_, err := New(Options{Machine: m, DataDir: "/data", Now: noon}).Take(t.Context(), Request{Name: "x", Devices: volumes("a", "b")})
	if err == nil || !strings.Contains(err.Error(), "is not healthy") {
		t.Error(err)
	}
	for _, c := range m.Calls() {
		if strings.Contains(c, "message") {
			t.Errorf("the pool was told: %s", c)
		}
	}
}

// waiting is a machine where a program waits until the volume that it works on
// is not held, as one would that reads it.
type waiting struct {
	*storagefake.Machine
	command string
}

func (w waiting) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if c.Args[0] == w.command && len(w.Suspended()) > 0 {
		for len(w.Suspended()) > 0 {
			time.Sleep(time.Second)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
	}
	return w.Machine.Output(ctx, c)
}

// I/O is not held for longer than 10 s, whatever hangs.
func TestLongestHold(t *testing.T) {
	for _, hangs := range []string{"message", "info"} {
		synctest.Test(t, func(t *testing.T) {
			m := storagefake.New()
			thin := m.Thin("vg-0/a", "vg-0/b")
			begun := time.Now()
			_, err := New(Options{Machine: waiting{m, hangs}, DataDir: "/data", Now: noon}).Take(t.Context(), Request{Name: "x", Devices: volumes("a", "b")})
			if took := time.Since(begun); took > longestHold+time.Second {
				t.Errorf("%s hangs: held for %s", hangs, took)
			}
			if err == nil || hangs == "message" && !strings.Contains(err.Error(), "I/O was held for 10s") {
				t.Errorf("%s hangs: %v", hangs, err)
			}
			if held, names := m.Suspended(), thin.Names(); len(held) > 0 || len(names) != 2 {
				t.Errorf("%s hangs: held %v, volumes %v", hangs, held, names)
			}
		})
	}
}

// meddler lets go of a volume when a snapshot is taken.
type meddler struct{ *storagefake.Machine }

func (w meddler) Output(ctx context.Context, c host.Call) ([]byte, error) {
	out, err := w.Machine.Output(ctx, c)
	if c.Args[0] == "message" && strings.HasPrefix(c.Args[3], "create_snap") {
		w.Look("/dev/vg-0/b").Suspended = false
	}
	return out, err
}

func TestSomebodyElseLetsGo(t *testing.T) {
	m := storagefake.New()
	thin := m.Thin("vg-0/a", "vg-0/b")
	_, err := New(Options{Machine: meddler{m}, DataDir: "/data", Now: noon}).Take(t.Context(), Request{Name: "x", Devices: volumes("a", "b")})
	if err == nil || !strings.Contains(err.Error(), "it would be damaged") && !strings.Contains(err.Error(), "somebody let go of vg--0-b") || len(thin.Names()) != 2 {
		t.Errorf("%v; %v", err, thin.Names())
	}
}

// quitter ends the context when a program runs.
type quitter struct {
	*storagefake.Machine
	at     string
	cancel func()
}

func (w quitter) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if c.Args[0] == w.at || c.Name == w.at {
		w.cancel()
	}
	return w.Machine.Output(ctx, c)
}

// Who asked goes away in the middle: all is let go and taken away.
func TestAskerLeaves(t *testing.T) {
	for _, at := range []string{"sync", "lvcreate", "suspend", "message", "info"} {
		m := storagefake.New()
		thin := m.Thin("vg-0/a", "vg-0/b")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := New(Options{Machine: quitter{m, at, cancel}, DataDir: "/data", Now: noon}).Take(ctx, Request{Name: "x", Devices: volumes("a", "b")})
		if !errors.Is(err, context.Canceled) || len(m.Suspended()) > 0 || len(thin.Names()) != 2 {
			t.Errorf("at %s: %v; held %v; %v", at, err, m.Suspended(), thin.Names())
		}
	}
}

// After the daemon was killed, those that it held are let go, and no others.
func TestResumeLeft(t *testing.T) {
	m := storagefake.New()
	m.Thin("vg-0/a", "vg-0/b", "vg-0/c")
	s := New(Options{Machine: m, DataDir: "/data", Now: noon})
	for _, n := range []string{"a", "c"} {
		m.Look("/dev/vg-0/" + n).Suspended = true
	}
	if err := s.ResumeLeft(t.Context()); err != nil || len(m.Suspended()) != 2 {
		t.Fatalf("without a marker: %v, held %v", err, m.Suspended())
	}
	// b was held by name, but is another volume now.
	m.Look("/dev/vg-0/b").Suspended = true
	text := `{"devices":[{"name":"vg--0-a","uuid":"LVM-vgvg0lva"},{"name":"vg--0-b","uuid":"LVM-other"},{"name":"vg--0-gone","uuid":"LVM-gone"}]}`
	if err := m.Save("/data/held.json", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ResumeLeft(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Suspended(), []string{"vg--0-b", "vg--0-c"}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	if _, err := m.ReadFile("/data/held.json"); err == nil {
		t.Error("the marker is left")
	}
	if err := m.Save("/data/held.json", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.ResumeLeft(t.Context()); err == nil || !strings.Contains(err.Error(), "dmsetup info") {
		t.Errorf("of a damaged marker: %v", err)
	}
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"report":[{"lv":[{"vg_name":"v","lv_name":"a","lv_attr":"Vwi-aotz--","pool_lv":"p","lv_tags":"esos.snapshot,esos.of=a,esos.name=x-20261128-120000"}]}]}`))
	f.Add([]byte("Suspended|LVM-x|vg-a\n"))
	f.Add([]byte("0 4194304 thin-pool 8 122/1024 656/32768 - rw no_discard_passdown queue_if_no_space - 256 \n"))
	f.Add([]byte("No devices found\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for d := range parseInfo(string(text)) {
			if strings.ContainsAny(d.Name+d.UUID, "\n") {
				t.Errorf("%+v", d)
			}
		}
		parsePool(string(text))
		all, err := parseLVs(text)
		if err != nil {
			return
		}
		for _, v := range all {
			if snap, ok := v.snapshot(); ok {
				if got, named := takenAt(snap.Name); !named || !got.Equal(snap.Taken) || snap.Device == "" {
					t.Errorf("%+v", snap)
				}
			}
			v.device()
		}
	})
}
