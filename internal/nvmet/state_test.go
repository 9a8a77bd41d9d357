package nvmet

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
)

// What is put is what is observed: a plan then has nothing to do.
func TestObservedAsPut(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	ns := b.namespaceOf(7)
	ns.ANAGroup, ns.Reservations, ns.Buffered = 2, true, false
	b.ok(b.PutNamespace(t.Context(), db, ns))
	c := b.connect(2, bob)
	s, err := b.Observe(t.Context())
	b.ok(err)
	want := State{Tells: true, Controllers: []Controller{{Subsystem: db, ID: c.ID, Host: bob, Address: "192.0.2.101", Port: 2, State: "ready"}}}
	for _, p := range []Port{front(), back()} {
		p.Links, p.Ours = []string{db}, true
		want.Ports = append(want.Ports, p)
	}
	sub := subsystemFor(plainHost(alice), plainHost(bob))
	first := b.namespaceOf(1)
	first.Size, ns.Size = 1<<20, 1<<20
	sub.Ours, sub.Namespaces = true, []Namespace{first, ns}
	want.Subsystems = []Subsystem{sub}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("(-put +observed):\n%s", diff)
	}
}

// A kernel whose NVMe target is not loaded serves nothing, and says so when
// something is to be served.
func TestNotLoaded(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.Target = New(Options{Kernel: missingTree{b.kernel}, RunDir: b.dir})
	if s, err := b.Observe(t.Context()); err != nil || len(s.Ports)+len(s.Subsystems) > 0 || s.Tells {
		t.Errorf("%+v, %v", s, err)
	}
	b.ok(b.Stop(t.Context()))
	b.refused(b.PutPort(t.Context(), front()), "is the module nvmet loaded?")
}

// missingTree is a tree that is not there.
type missingTree struct{ *nvmetfake.Tree }

func (m missingTree) ReadDir(p string) ([]string, error) { return m.Tree.ReadDir("gone/" + p) }

// What a document may say of a port is what the kernel's settings take.
func FuzzPort(f *testing.F) {
	for _, s := range [][2]string{{"tcp", "192.0.2.10:4420"}, {"tcp", ":4420"}, {"rdma", "[2001:db8::10]:04420"}, {"tcp", "[::ffff:192.0.2.1]:1"}, {"tcp", "[fe80::1%eth0]:4420"},
		{"fc", "nn-0x20000024FF000001:pn-0x21000024ff000001"}, {"tcp", "array:4420"}, {"tcp", "192.0.2.10:00"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, transport, address string) {
		p := config.NVMePort{Name: "p", ID: 1, Transport: transport, Address: address}
		d := config.Document{Version: 1, Name: "a", NVMe: config.NVMe{Ports: []config.NVMePort{p}}}
		if d.Validate().Err() != nil {
			return
		}
		want, err := PortOf(p)
		if err != nil {
			t.Fatalf("%q is taken, and then refused: %v", address, err)
		}
		target := New(Options{Kernel: nvmetfake.New(nvmetfake.Options{}), RunDir: t.TempDir()})
		if err := target.PutPort(t.Context(), want); err != nil {
			t.Fatalf("the kernel refuses %s %q: %v", transport, address, err)
		}
		s, err := target.Observe(t.Context())
		want.Ours = true
		want.Links = []string{}
		if err != nil || len(s.Ports) != 1 {
			t.Fatalf("%+v, %v", s, err)
		}
		if diff := cmp.Diff(want, s.Ports[0]); diff != "" {
			t.Errorf("%s %q (-put +observed):\n%s", transport, address, diff)
		}
	})
}
