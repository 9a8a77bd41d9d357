package appliance_test

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
	"github.com/esos-project/esos/internal/nvmet"
)

// nvmeBench is an array with an imitated NVMe target in the kernel.
type nvmeBench struct {
	*testing.T
	dir    string
	kernel *nvmetfake.Tree
	engine *enginetest.Memory
	app    *appliance.Appliance
}

const (
	mail = "nqn.2026-11.com.example:mail"
	ann  = "nqn.2014-08.org.nvmexpress:uuid:6f1b0e9d-2c3a-4867-9122-334455667788"
	ben  = "nqn.2026-11.com.example:ben"
)

func newNVMeBench(t *testing.T, opt nvmetfake.Options) *nvmeBench {
	t.Helper()
	b := &nvmeBench{T: t, dir: t.TempDir(), kernel: nvmetfake.New(opt), engine: &enginetest.Memory{}}
	b.start()
	t.Cleanup(func() { b.end() })
	return b
}

func (b *nvmeBench) start() {
	b.Helper()
	target := nvmet.New(nvmet.Options{Kernel: b.kernel, Debug: b.kernel.Debug(), RunDir: filepath.Join(b.dir, "run")})
	app, err := appliance.Open(b.Context(), appliance.Options{DataDir: b.dir, Engine: b.engine, NVMe: target, Log: slog.New(slog.DiscardHandler), Retry: time.Hour})
	b.ok(err)
	b.app = app
}

func (b *nvmeBench) end() {
	if b.app != nil {
		if err := b.app.Close(); err != nil {
			b.Error(err)
		}
	}
	b.app = nil
}

func (b *nvmeBench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// document has two devices, one of them served as a namespace.
func nvmeDocument() *config.Document {
	return &config.Document{
		Version: 1, Name: "array",
		Devices: []config.Device{{Name: "db01", Handler: config.FileIO, Size: 1 << 20}, {Name: "db02", Handler: config.FileIO, Size: 1 << 20}},
		NVMe: config.NVMe{
			Ports: []config.NVMePort{{Name: "front", Transport: config.NVMeTCP, Address: "192.0.2.10:4420"}, {Name: "back", Transport: config.NVMeRDMA, Address: "[2001:db8::10]:4420"}},
			Subsystems: []config.NVMeSubsystem{{NQN: mail, Hosts: []config.NVMeHost{{NQN: ann}, {NQN: ben}},
				Namespaces: []config.NVMeNamespace{{NSID: 1, Device: "db01"}}}},
		},
	}
}

// apply carries a change out and returns what the kernel was asked for.
func (b *nvmeBench) apply(c appliance.Change) []string {
	b.Helper()
	c.Who = "test"
	b.kernel.Requests()
	op, err := b.app.Apply(b.Context(), c)
	b.ok(err)
	b.ok(op.Wait(b.Context()))
	return b.kernel.Requests()
}

func (b *nvmeBench) edit(edit func(d *config.Document)) []string {
	b.Helper()
	return b.apply(appliance.Change{Edit: func(d *config.Document) error { edit(d); return nil }})
}

func (b *nvmeBench) connect(port int, host string) *nvmetfake.Connection {
	b.Helper()
	c, err := b.kernel.Connect(port, mail, host)
	b.ok(err)
	return c
}

func TestNVMeOneChangeIsAllThatIsAskedFor(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	whole := b.apply(appliance.Change{Document: nvmeDocument()})
	if len(whole) == 0 {
		t.Fatal("nothing was asked for")
	}
	doc, _, err := b.app.Document(t.Context())
	b.ok(err)
	if again := b.apply(appliance.Change{Document: doc}); len(again) > 0 {
		t.Errorf("the same document again: %q", again)
	}
	b.end()
	b.kernel.Requests()
	b.start()
	if again := b.kernel.Requests(); len(again) > 0 {
		t.Errorf("the next daemon: %q", again)
	}
	served, err := b.engine.Observe(t.Context())
	b.ok(err)
	if len(served.Devices) != 1 || served.Devices[0].Name != "db02" {
		t.Errorf("the engine serves %+v; want db02, which is no namespace", served.Devices)
	}
	c1, c2 := b.connect(1, ann), b.connect(2, ben)
	ns, path := "subsystems/"+mail+"/namespaces/", filepath.Join(b.dir, "devices")
	for _, step := range []struct {
		name string
		edit func(d *config.Document)
		want []string
	}{
		{"a namespace", func(d *config.Document) {
			d.NVMe.Subsystems[0].Namespaces = append(d.NVMe.Subsystems[0].Namespaces, config.NVMeNamespace{NSID: 2, Device: "db02", UUID: "11111111-2222-8333-8444-555555555555", NGUID: "0123456789abcdef001405aabbccddee"})
		}, []string{
			"mkdir " + ns + "2", "write " + ns + "2/device_path " + path + "/db02.img", "write " + ns + "2/device_uuid 11111111-2222-8333-8444-555555555555",
			"write " + ns + "2/device_nguid 0123456789abcdef001405aabbccddee", "write " + ns + "2/buffered_io 1", "write " + ns + "2/enable 1",
		}},
		{"a size", func(d *config.Document) { d.Devices[1].Size = 2 << 20 }, []string{"write " + ns + "2/revalidate_size 1"}},
		{"an ANA group", func(d *config.Document) { d.NVMe.Subsystems[0].Namespaces[1].ANAGroup = 2 }, []string{"write " + ns + "2/ana_grpid 2"}},
		{"its states", func(d *config.Document) {
			d.NVMe.Ports[1].ANAGroups = []config.ANAGroup{{ID: 2, State: "non-optimized"}}
		}, []string{"mkdir ports/2/ana_groups/2", "write ports/2/ana_groups/2/ana_state non-optimized"}},
		{"a port", func(d *config.Document) {
			d.NVMe.Ports = append(d.NVMe.Ports, config.NVMePort{Name: "third", Transport: "tcp", Address: ":4421"})
		}, []string{"mkdir ports/3", "write ports/3/addr_trtype tcp", "write ports/3/addr_adrfam ipv4", "write ports/3/addr_traddr 0.0.0.0", "write ports/3/addr_trsvcid 4421",
			"symlink ports/3/subsystems/" + mail + " -> subsystems/" + mail}},
		{"a namespace less", func(d *config.Document) {
			d.NVMe.Subsystems[0].Namespaces = d.NVMe.Subsystems[0].Namespaces[:1]
		}, []string{"write " + ns + "2/enable 0", "rmdir " + ns + "2"}},
		{"a port less", func(d *config.Document) { d.NVMe.Ports = d.NVMe.Ports[:2] }, []string{"unlink ports/3/subsystems/" + mail, "rmdir ports/3"}},
	} {
		if diff := cmp.Diff(step.want, b.edit(step.edit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	for _, c := range []*nvmetfake.Connection{c1, c2} {
		if c.Ended || !strings.Contains(strings.Join(c.Told, "; "), "namespace 2 has 2097152 bytes") {
			t.Errorf("%s: cut off %v, told %q", c.Host, c.Ended, c.Told)
		}
	}
	// Hosts are connected: a subsystem goes only if it is named.
	none := appliance.Change{Edit: func(d *config.Document) error { d.NVMe = config.NVMe{}; return nil }}
	var destroys *appliance.DestroysError
	if _, err := b.app.Apply(t.Context(), none); !errors.As(err, &destroys) || !slices.Equal(destroys.Needs, []string{"nvme-subsystem/" + mail}) {
		t.Errorf("a subsystem that hosts use: %v", err)
	}
	none.Destroy = []string{"nvme-subsystem/" + mail}
	b.apply(none)
	for _, l := range strings.Split(b.kernel.Dump(), "\n") {
		if name, _, _ := strings.Cut(l, " "); strings.Count(name, "/") > 1 {
			t.Errorf("left in the kernel: %s", l)
		}
	}
	if !c1.Ended {
		t.Error("a host is still connected to what is gone")
	}
}
