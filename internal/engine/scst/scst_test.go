package scst

import (
	"context"
	"errors"

	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

const (
	iqn   = "iqn.2026-11.org.esos-project:test"
	tgt   = "targets/iscsi/" + iqn
	alice = "iqn.1993-08.org.debian:01:alice"
	bob   = "iqn.1993-08.org.debian:01:bob"
)

// bench is an engine on an imitated kernel.
type bench struct {
	*testing.T
	*Engine
	kernel *scstfake.Tree
	opt    Options
	daemon *daemon
}

// daemon is an imitated iscsi-scstd.
type daemon struct {
	kernel *scstfake.Tree
	port   int
	fails  error
}

func (d *daemon) Port(context.Context) (int, error) { return d.port, nil }

func (d *daemon) Start(_ context.Context, port int) error {
	if d.fails != nil {
		return d.fails
	}
	d.kernel.StartDaemon()
	d.port = port
	return nil
}

func (d *daemon) Stop(context.Context) error {
	d.kernel.StopDaemon()
	d.port = 0
	return nil
}

// srpPort is a port of the imitated machine.
const srpPort = "fe80:0000:0000:0000:0002:c903:0005:f34b"

// machine has the imitated hardware besides.
func machine(o scstfake.Options) scstfake.Options {
	o.Ports = map[string][]string{"ib_srpt": {srpPort, "fe80:0000:0000:0000:0002:c903:0005:f34c"}, "qla2x00t": {"50:01:43:80:24:26:bb:b4"}}
	o.SCSI = map[string][]string{"dev_tape": {"3:0:0:0"}, "dev_disk": {"2:0:0:0"}}
	return o
}

// scsi finds one SCSI device.
type scsi struct{}

func (scsi) Find(path string) (host.SCSIDevice, error) {
	switch path {
	case "/dev/tape/by-id/lto", "3:0:0:0":
		return host.SCSIDevice{Address: "3:0:0:0", Type: 1}, nil
	case "2:0:0:0":
		return host.SCSIDevice{Address: "2:0:0:0"}, nil
	case "9:0:0:0":
		return host.SCSIDevice{Address: "9:0:0:0"}, nil
	}
	return host.SCSIDevice{}, errors.New("this machine has none")
}

// stat is what the imitated kernel sees of files.
func stat(path string) (int64, error) {
	fi, err := host.Files{}.Stat(path)
	return fi.Size, err
}

func newBench(t *testing.T, o scstfake.Options) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{T: t}
	b.opt = Options{
		RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: filepath.Join(dir, "data"),
		Reservations: filepath.Join(dir, "var/lib/scst/pr"), Poll: time.Millisecond, Busy: 10 * time.Microsecond, Patience: time.Second,
	}
	o.Stat = stat
	if o.PRDir == nil {
		o.PRDir = func() bool {
			fi, err := os.Stat(b.opt.Reservations)
			return err == nil && fi.IsDir()
		}
	}
	b.kernel = scstfake.New(o)
	b.daemon = &daemon{kernel: b.kernel}
	b.opt.Kernel, b.opt.KernelLog, b.opt.Daemon, b.opt.SCSI = b.kernel, b.kernel, b.daemon, scsi{}
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
	got, err := b.kernel.Text(file)
	if err != nil || got != want {
		b.Errorf("%s holds %q, %v; want %q", file, got, err, want)
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

// sees wants an initiator's LUNs, by the map that its session leads to.
func (b *bench) sees(session string, want map[int]string) {
	b.Helper()
	luns, err := b.kernel.Readlink(tgt + "/sessions/" + session + "/luns")
	b.ok(err)
	if diff := cmp.Diff(want, b.kernel.Describe(luns)); diff != "" {
		b.Errorf("what %s sees (-want +got):\n%s", session, diff)
	}
}

func (b *bench) observed() any {
	b.Helper()
	s, err := b.Observe(b.Context())
	b.ok(err)
	return s
}

// modes are the SCSTs that everything must work with.
func modes() map[string]scstfake.Options {
	return map[string]scstfake.Options{
		"plain": {}, "EAGAIN everywhere": {EAGAIN: true}, "sessions reassigned": {Reassign: true}, "sessions linger": {Linger: 3},
	}
}

func TestSuite(t *testing.T) {
	if root := os.Getenv("ESOS_SCST_TREE"); root != "" {
		realSuite(t, root)
		return
	}
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, func(t *testing.T) enginetest.Subject {
				b := newBench(t, o)
				return enginetest.Subject{Engine: b.Engine, DataDir: b.opt.DataDir, Portal: "127.0.0.1:3260", Trim: trim, NoMemory: true}
			})
		})
	}
}

// trim takes out of the suite's documents what SCST refuses.
func trim(d *config.Document) {
	d.Devices = slices.DeleteFunc(d.Devices, func(d config.Device) bool { return d.Handler == config.Memory })
	for i := range d.ISCSI.Portals {
		d.ISCSI.Portals[i].Announce, d.ISCSI.Portals[i].Group = "", 1
	}
	for i := range d.Targets {
		t := &d.Targets[i]
		t.Auth.Algorithms = nil
		for j := range t.Auth.Users {
			t.Auth.Users[j].Initiators = nil
		}
		for j := range t.Groups {
			if g := &t.Groups[j]; len(g.Initiators) > 1 {
				g.Initiators = slices.DeleteFunc(g.Initiators, func(p string) bool { return strings.HasPrefix(p, "!") })
			}
		}
	}
}
