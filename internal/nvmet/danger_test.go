package nvmet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
)

const (
	db    = "nqn.2026-11.com.example:db"
	alice = "nqn.2026-11.com.example:alice"
	bob   = "nqn.2026-11.com.example:bob"
	key1  = "DHHC-1:00:ZXNvcy1leGFtcGxlLWhvc3Qta2V5LTMyLWJ5dGVzISFf2xG6:"
	key2  = "DHHC-1:00:ZXNvcy1leGFtcGxlLWN0cmwta2V5LTMyLWJ5dGVzISGXBQDR:"
)

// bench is a Target on an imitated kernel.
type bench struct {
	*testing.T
	*Target
	kernel *nvmetfake.Tree
	dir    string
}

func newBench(t *testing.T, opt nvmetfake.Options) *bench {
	t.Helper()
	b := &bench{T: t, kernel: nvmetfake.New(opt), dir: t.TempDir()}
	b.start(Options{})
	return b
}

// start begins anew, as the next daemon does.
func (b *bench) start(opt Options) {
	opt.Kernel, opt.Debug, opt.RunDir = b.kernel, b.kernel.Debug(), filepath.Join(b.dir, "run")
	b.Target = New(opt)
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) refused(err error, words ...string) {
	b.Helper()
	if err == nil {
		b.Fatal("it was not refused")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			b.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
}

func (b *bench) reads(p, want string) {
	b.Helper()
	if got, err := b.kernel.ReadFile(p); err != nil || got != want+"\n" {
		b.Errorf("%s reads %q, %v; want %q", p, got, err, want)
	}
}

func (b *bench) file(name string, size int64) string {
	b.Helper()
	p := filepath.Join(b.dir, name)
	b.ok(os.WriteFile(p, nil, 0o600))
	b.ok(os.Truncate(p, size))
	return p
}

func (b *bench) namespaceOf(nsid int) Namespace {
	return Namespace{NSID: nsid, Path: b.file(fmt.Sprintf("d%d.img", nsid), 1<<20), UUID: fmt.Sprintf("00000000-0000-8000-8000-%012d", nsid),
		NGUID: fmt.Sprintf("%016d001405%010d", nsid, nsid), Buffered: true, ANAGroup: 1, Enabled: true}
}

func front() Port {
	return Port{ID: 1, Transport: "tcp", Address: "192.0.2.10:4420", ANA: []ANA{{"1", "optimized"}}}
}

func back() Port {
	return Port{ID: 2, Transport: "rdma", Address: "[2001:db8::10]:4420", InCapsuleSize: 8192, ANA: []ANA{{"1", "optimized"}, {"2", "non-optimized"}}}
}

func subsystemFor(hosts ...Host) Subsystem {
	return Subsystem{NQN: db, Serial: "0123456789abcdef", Model: "ESOS", Hosts: hosts}
}

func plainHost(nqn string) Host { return Host{NQN: nqn, Hash: "sha256"} }

// serve sets up what the tests change.
func (b *bench) serve() {
	b.Helper()
	ctx := b.Context()
	b.ok(b.PutPort(ctx, front()))
	b.ok(b.PutPort(ctx, back()))
	b.ok(b.PutSubsystem(ctx, subsystemFor(plainHost(alice), plainHost(bob))))
	b.ok(b.PutNamespace(ctx, db, b.namespaceOf(1)))
	b.ok(b.Open(ctx, db, []int{1, 2}))
}

func (b *bench) connect(port int, host string) *nvmetfake.Connection {
	b.Helper()
	c, err := b.kernel.Connect(port, db, host)
	b.ok(err)
	return c
}

// Each test of this file is one danger of nvmet's tree, by name. Where the
// kernel would refuse, the imitation is first seen to do so.

func TestDangerAddressWrittenWhileOpen(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	if err := b.kernel.WriteFile("ports/1/addr_traddr", "192.0.2.10"); !errors.Is(err, unix.EACCES) {
		t.Fatalf("the imitation takes the same address while the port is open: %v", err)
	}
	b.ok(b.PutPort(t.Context(), front())) // writes nothing
	moved := front()
	moved.Address = "192.0.2.11:4420"
	b.refused(b.PutPort(t.Context(), moved), "addr_traddr cannot change while subsystems are reached")
	b.ok(b.Close(t.Context(), db, []int{1}))
	b.ok(b.PutPort(t.Context(), moved))
	b.ok(b.Open(t.Context(), db, []int{1}))
	b.reads("ports/1/addr_traddr", "192.0.2.11")
}

func TestDangerInCapsuleSizeIsTheTransports(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	b.reads("ports/1/param_inline_data_size", "16384") // the transport wrote it
	s, err := b.Observe(t.Context())
	b.ok(err)
	if s.Ports[0].InCapsuleSize != 0 || s.Ports[1].InCapsuleSize != 8192 {
		t.Errorf("in-capsule sizes are told as %d and %d", s.Ports[0].InCapsuleSize, s.Ports[1].InCapsuleSize)
	}
	b.kernel.Requests()
	b.ok(b.PutPort(t.Context(), front()))
	if r := b.kernel.Requests(); len(r) > 0 {
		t.Errorf("the same port again: %q", r)
	}
}

func TestDangerSerialAfterDiscovery(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	other := subsystemFor(plainHost(alice), plainHost(bob))
	other.Serial = "another"
	b.ok(b.PutSubsystem(t.Context(), other)) // nobody has seen it
	b.connect(1, alice)
	b.ok(b.PutSubsystem(t.Context(), other))
	b.refused(b.PutSubsystem(t.Context(), subsystemFor(plainHost(alice), plainHost(bob))), "attr_serial cannot change", "delete it")
	other.Model = "other"
	b.refused(b.PutSubsystem(t.Context(), other), "attr_model cannot change")
}

func TestDangerSerialIsPadded(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	b.reads("subsystems/"+db+"/attr_serial", "0123456789abcdef    ")
	s, err := b.Observe(t.Context())
	b.ok(err)
	if got := s.Subsystems[0].Serial; got != "0123456789abcdef" {
		t.Errorf("the serial is told as %q", got)
	}
}

func TestDangerDevicePathWhileEnabled(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	ns := "subsystems/" + db + "/namespaces/1"
	for file, want := range map[string]error{"device_path": unix.EBUSY, "device_uuid": unix.EBUSY, "device_nguid": unix.EBUSY, "buffered_io": unix.EINVAL, "resv_enable": unix.EINVAL} {
		now, err := b.kernel.ReadFile(ns + "/" + file)
		b.ok(err)
		if err := b.kernel.WriteFile(ns+"/"+file, now); !errors.Is(err, want) {
			t.Fatalf("the imitation takes the same %s while enabled: %v", file, err)
		}
	}
	other := b.namespaceOf(1)
	other.Path = b.file("other.img", 1<<20)
	other.Reservations = true
	b.ok(b.PutNamespace(t.Context(), db, other))
	b.reads(ns+"/device_path", other.Path)
	b.reads(ns+"/resv_enable", "1")
	b.reads(ns+"/enable", "1")
}

func TestDangerAllowedHostsWhileAnyHost(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	if err := b.kernel.WriteFile("subsystems/"+db+"/attr_allow_any_host", "1"); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("the imitation lets everybody in beside named hosts: %v", err)
	}
	open := subsystemFor()
	open.AllowAnyHost = true
	b.ok(b.PutSubsystem(t.Context(), open))
	stranger := b.connect(1, "nqn.2026-11.com.example:stranger")
	b.ok(b.kernel.Mkdir("hosts/x"))
	if err := b.kernel.Symlink("hosts/x", "subsystems/"+db+"/allowed_hosts/x"); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("the imitation takes named hosts while everybody is let in: %v", err)
	}
	b.ok(b.PutSubsystem(t.Context(), subsystemFor(plainHost(alice))))
	if _, err := b.kernel.Connect(1, db, bob); err == nil {
		t.Error("bob is still let in")
	}
	if !stranger.Ended {
		t.Error("a host that came while everybody was let in is still connected")
	}
}

func TestDangerShutOutHostStaysConnected(t *testing.T) {
	for _, tells := range []bool{true, false} {
		b := newBench(t, nvmetfake.Options{NoDebug: !tells})
		b.serve()
		a, c := b.connect(1, alice), b.connect(2, bob)
		b.ok(b.PutSubsystem(t.Context(), subsystemFor(plainHost(alice))))
		if a.Ended || c.Ended != tells {
			t.Errorf("kernel tells %v: alice is cut off: %v, bob: %v", tells, a.Ended, c.Ended)
		}
		if _, err := b.kernel.Connect(2, db, bob); err == nil {
			t.Error("bob comes back")
		}
		if names, err := b.kernel.ReadDir("hosts"); err != nil || !slices.Equal(names, []string{alice}) {
			t.Errorf("hosts that are left: %q, %v", names, err)
		}
	}
}

func TestDangerKeyCannotBeTakenAway(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	if err := b.kernel.WriteFile("hosts/"+alice+"/dhchap_key", "\n"); !errors.Is(err, unix.EINVAL) {
		t.Fatalf("the imitation takes an empty key: %v", err)
	}
	h := Host{NQN: alice, Key: key1, CtrlKey: key2, Hash: "sha512", DHGroup: "ffdhe4096"}
	b.ok(b.PutSubsystem(t.Context(), subsystemFor(h, plainHost(bob))))
	b.reads("hosts/"+alice+"/dhchap_key", key1) // without a newline of ours
	b.reads("hosts/"+alice+"/dhchap_ctrl_key", key2)
	b.reads("hosts/"+alice+"/dhchap_hash", "hmac(sha512)")
	b.reads("hosts/"+alice+"/dhchap_dhgroup", "ffdhe4096")
	for _, file := range []string{"dhchap_key", "dhchap_ctrl_key"} {
		if mode := b.kernel.Mode("hosts/" + alice + "/" + file); mode != 0o600 {
			t.Errorf("others read %s: mode %o", file, mode)
		}
	}
	for _, r := range b.kernel.Requests() {
		if strings.Contains(r, "DHHC") {
			t.Errorf("a key is told: %s", r)
		}
	}
	s, err := b.Observe(t.Context())
	b.ok(err)
	if s.Subsystems[0].Hosts[0] != h {
		t.Error("the host is not told as it was put")
	}
	if text := fmt.Sprintf("%+v %#v", s, s); strings.Contains(text, "ZXNv") {
		t.Error("a key is printed")
	}
	c := b.connect(1, alice)
	b.ok(b.PutSubsystem(t.Context(), subsystemFor(plainHost(alice), plainHost(bob))))
	b.reads("hosts/"+alice+"/dhchap_key", "")
	b.reads("hosts/"+alice+"/dhchap_hash", "hmac(sha256)")
	if c.Ended {
		t.Error("a host whose key was taken away is cut off")
	}
	b.connect(2, alice)
}

func TestDangerRmdirOrder(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	for p, want := range map[string]error{"subsystems/" + db: unix.EBUSY, "ports/1": unix.ENOTEMPTY, "hosts/" + alice: unix.EBUSY, "ports/1/ana_groups/1": unix.EPERM} {
		if err := b.kernel.Rmdir(p); !errors.Is(err, want) {
			t.Fatalf("the imitation lets %s go: %v", p, err)
		}
	}
	empty := nvmetfake.New(nvmetfake.Options{}).Dump()
	b.ok(b.DeleteSubsystem(t.Context(), db))
	b.ok(b.DeletePort(t.Context(), 1))
	b.ok(b.DeletePort(t.Context(), 2))
	if got := b.kernel.Dump(); got != empty {
		t.Errorf("left in the kernel:\n%s", got)
	}
	b.ok(b.DeleteSubsystem(t.Context(), db)) // they are gone already
	b.ok(b.DeleteNamespace(t.Context(), db, 1))
	b.ok(b.DeletePort(t.Context(), 1))
}

func TestDangerGrowthIsNotNoticed(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	c, ns := b.connect(1, alice), b.namespaceOf(1)
	b.kernel.Requests()
	b.ok(b.PutNamespace(t.Context(), db, ns))
	if r := b.kernel.Requests(); len(r) > 0 {
		t.Fatalf("the same size: %q", r)
	}
	b.ok(os.Truncate(ns.Path, 2<<20))
	b.ok(b.PutNamespace(t.Context(), db, ns))
	if !slices.Equal(c.Told, []string{"namespace 1 has 2097152 bytes"}) || c.Ended {
		t.Errorf("the host was told %q, cut off %v", c.Told, c.Ended)
	}
	if s, err := b.Observe(t.Context()); err != nil || s.Subsystems[0].Namespaces[0].Size != 2<<20 {
		t.Errorf("the size is told as %+v, %v", s.Subsystems[0].Namespaces, err)
	}
}

func TestDangerANAGroup128(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	group := "subsystems/" + db + "/namespaces/1/ana_grpid"
	b.ok(b.kernel.WriteFile(group, "128"))
	b.reads(group, "0") // which is why documents cannot have it
	d := config.Document{Version: 1, Name: "a", NVMe: config.NVMe{Ports: []config.NVMePort{{Name: "p", Transport: "tcp", Address: ":1", ANAGroups: []config.ANAGroup{{ID: 128, State: "optimized"}}}}}}
	b.refused(d.Validate().Err(), "must be 1 to 127")
}

func TestDangerPortThatCannotOpen(t *testing.T) {
	b := newBench(t, nvmetfake.Options{Foreign: []string{"192.0.2.10"}})
	ctx := t.Context()
	b.ok(b.PutSubsystem(ctx, subsystemFor()))
	b.ok(b.PutPort(ctx, front()))
	b.refused(b.Open(ctx, db, []int{1}), "no such address", "192.0.2.10")
	twice := back()
	b.ok(b.PutPort(ctx, twice))
	twice.ID = 3
	b.ok(b.PutPort(ctx, twice))
	b.ok(b.Open(ctx, db, []int{2}))
	b.refused(b.Open(ctx, db, []int{3}), "has this address")
}

func TestDangerBlockDeviceIsNotClaimed(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	asked := ""
	b.start(Options{
		Stat: func(string) (host.FileInfo, error) { return host.FileInfo{Block: true, Size: 1 << 20}, nil },
		Free: func(path string) error { asked = path; return errors.New("it is in use: mounted") },
	})
	ns := b.namespaceOf(2)
	ns.Buffered = false
	b.refused(b.PutNamespace(t.Context(), db, ns), "mounted")
	if asked != ns.Path {
		t.Errorf("asked for %q", asked)
	}
	b.reads("subsystems/"+db+"/namespaces/2/enable", "0")
}

func TestDangerKernelWithoutASetting(t *testing.T) {
	b := newBench(t, nvmetfake.Options{NoAuth: true, Lacks: []string{"resv_enable", "attr_model", "revalidate_size", "param_inline_data_size"}})
	ctx := t.Context()
	f := front()
	b.ok(b.PutPort(ctx, f))
	b.refused(b.PutPort(ctx, back()), "no setting param_inline_data_size")
	b.ok(b.PutSubsystem(ctx, subsystemFor(plainHost(alice))))
	b.refused(b.PutSubsystem(ctx, subsystemFor(Host{NQN: alice, Key: key1, Hash: "sha256"})), "no setting dhchap_key")
	named := subsystemFor(plainHost(alice))
	named.Model = "mine"
	b.refused(b.PutSubsystem(ctx, named), "no setting attr_model")
	ns := b.namespaceOf(1)
	b.ok(b.PutNamespace(ctx, db, ns))
	b.ok(os.Truncate(ns.Path, 2<<20))
	b.ok(b.PutNamespace(ctx, db, ns)) // hosts ask for themselves some time
	reserved := b.namespaceOf(2)
	reserved.Reservations = true
	b.refused(b.PutNamespace(ctx, db, reserved), "no setting resv_enable", "newer kernel")
}

func TestDangerObjectsOfOthers(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	const theirs = "nqn.2026-11.com.example:theirs"
	for _, dir := range []string{"subsystems/" + theirs, "ports/9", "hosts/" + alice, "subsystems/" + theirs + "/namespaces/1", "ports/0x10"} {
		b.ok(b.kernel.Mkdir(dir))
	}
	b.ok(b.kernel.Symlink("hosts/"+alice, "subsystems/"+theirs+"/allowed_hosts/"+alice))
	before := b.kernel.Dump()
	b.serve()
	s, err := b.Observe(t.Context())
	b.ok(err)
	for _, p := range s.Ports {
		if p.Ours != (p.ID != 9) {
			t.Errorf("port %d is ours: %v", p.ID, p.Ours)
		}
	}
	for _, x := range s.Subsystems {
		if x.Ours != (x.NQN == db) {
			t.Errorf("%s is ours: %v", x.NQN, x.Ours)
		}
	}
	b.ok(b.Stop(t.Context()))
	if after := b.kernel.Dump(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestDangerLinkOfAnotherName(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.serve()
	b.ok(b.kernel.Mkdir("ports/9"))
	for _, s := range [][2]string{{"addr_trtype", "tcp"}, {"addr_adrfam", "ipv4"}, {"addr_traddr", "192.0.2.99"}, {"addr_trsvcid", "4420"}} {
		b.ok(b.kernel.WriteFile("ports/9/"+s[0], s[1]))
	}
	b.ok(b.kernel.Symlink("subsystems/"+db, "ports/9/subsystems/a-name"))
	s, err := b.Observe(t.Context())
	b.ok(err)
	if got := s.Ports[2].Links; !slices.Equal(got, []string{db}) {
		t.Errorf("the port leads to %q", got)
	}
	b.ok(b.Open(t.Context(), db, []int{9})) // it is there
	b.ok(b.DeleteSubsystem(t.Context(), db))
}

func TestDangerNotTheRootOfProcess1(t *testing.T) {
	b := newBench(t, nvmetfake.Options{})
	b.start(Options{SameRoot: func() error { return errors.New("another root than process 1") }})
	b.refused(b.PutPort(t.Context(), front()), "another root")
	if r := b.kernel.Requests(); len(r) > 0 {
		t.Errorf("the kernel was asked for %q", r)
	}
}
