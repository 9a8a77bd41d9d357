package remote

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/nvmehost"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	iqn     = "iqn.2026-11.com.example:array2"
	nqn     = "nqn.2026-11.com.example:array3"
	portalA = "10.0.0.5:3260"
	portalB = "10.0.1.5:3260"
	addrA   = "10.0.0.6:4420"
	addrB   = "[fd00::6]:4420"
	pathA   = "/dev/disk/by-path/ip-10.0.0.5:3260-iscsi-" + iqn + "-lun-0"
	pathB   = "/dev/disk/by-path/ip-10.0.1.5:3260-iscsi-" + iqn + "-lun-0"
)

// user stands for the layers above: it takes disks for arrays, and what is
// declared before is left until its disks are there.
type user struct{ m *storagefake.Machine }

func (user) Name() string { return "user" }

func (user) Observe(context.Context, *config.Document, *layer.Observed) error { return nil }

func (l user) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	for _, a := range declared.Storage.Arrays {
		object := "array/" + a.Name
		if _, before := seen.Before(object); before {
			if _, ok := seen.Storage.Blocks.Find(a.Disks[0]); !ok {
				b.Block(object, "%s is not there", a.Disks[0])
			}
			continue
		}
		c := seen.Claim(declared, b, a.Disks[0])
		if c.Missing+c.Refused != "" {
			b.Problem(object, "%s%s", c.Missing, c.Refused)
			continue
		}
		b.Add(plan.Step{Layer: "user", Object: object, Action: plan.Create, Sentence: "Create array " + a.Name, Needs: disk.Wipe(l.m, c, b),
			Do: func(context.Context, plan.Report) error {
				d := l.m.Look(a.Disks[0])
				d.Content, d.Owner = []block.Content{{Type: "linux_raid_member"}}, object
				return nil
			},
			Undo: func(context.Context) error {
				if d := l.m.Look(a.Disks[0]); d != nil && d.Owner == object {
					d.Content, d.Owner = nil, ""
				}
				return nil
			}})
	}
}

func planned(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	stack := []layer.Layer{disk.Layer{Machine: m}, Layer{Machine: m, Patience: 200 * time.Millisecond}, user{m}}
	for _, l := range stack {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	var b plan.Builder
	for _, l := range stack {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// machine is one with two arrays elsewhere: an iSCSI target of two portals and
// an NVMe subsystem of two addresses.
func machine() *storagefake.Machine {
	m := storagefake.New()
	m.Disk("vda", "own", 1<<30)
	m.Target(iqn, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 10 << 30})
	m.Subsystem(nqn, &storagefake.RemoteDisk{WWID: "uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8", Serial: "n1", Size: 20 << 30})
	for _, p := range []string{portalA, portalB, addrA, addrB} {
		m.Portal(p, true)
	}
	return m
}

func document(edit ...func(*config.Document)) *config.Document {
	d := &config.Document{Version: 1, Name: "array1", ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8"}
	for _, e := range edit {
		e(d)
	}
	return d
}

func iscsi(name, portal string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Remote.ISCSI = append(d.Storage.Remote.ISCSI, config.RemoteISCSI{Name: name, Target: iqn, Portal: portal})
	}
}

func chap(user, secret string) func(*config.Document) {
	return func(d *config.Document) {
		r := d.Storage.Remote.ISCSI
		r[len(r)-1].User, r[len(r)-1].Secret = user, config.Secret(secret)
	}
}

func nvme(name, address string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Remote.NVMe = append(d.Storage.Remote.NVMe, config.RemoteNVMe{Name: name, Subsystem: nqn, Transport: "tcp", Address: address})
	}
}

func array(name, path string) func(*config.Document) {
	return func(d *config.Document) {
		d.Storage.Arrays = append(d.Storage.Arrays, config.Array{Name: name, Level: "1", Disks: []string{path}})
	}
}

// Each case leads from a document that is in force to another one. The golden
// file is the plan; carried out, nothing must be left to do.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []func(*config.Document) // in force, and carried out
		after  []func(*config.Document)
		tamper func(t *testing.T, m *storagefake.Machine)
		named  []string
		fails  string // the plan cannot be carried out: what the error says
		stays  bool   // the plan leads not to what is declared
	}{
		{name: "first", after: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)}},
		{name: "paths", after: []func(*config.Document){iscsi("a", portalA), iscsi("b", portalB), nvme("n", addrA), nvme("n6", addrB)}},
		{name: "chap", after: []func(*config.Document){iscsi("a", portalA), chap("esos", "example-secret")}, tamper: locked},
		{name: "chap-wrong", after: []func(*config.Document){iscsi("a", portalA), chap("esos", "another-secret")}, tamper: locked, fails: "let initiator iqn.2026-11.org.esos-project:host.0123456789abcdef in"},
		{name: "unreachable", after: []func(*config.Document){iscsi("a", portalA)}, tamper: func(_ *testing.T, m *storagefake.Machine) { m.Portal(portalA, false) }, fails: "nothing answers at 10.0.0.5:3260"},
		{name: "same", before: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)}, after: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)}},
		{name: "with-array", after: []func(*config.Document){iscsi("a", portalA), array("r", pathA)}},
		{name: "with-array-of-nvme", after: []func(*config.Document){nvme("n", addrA), array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}},
		{name: "with-array-on-data", after: []func(*config.Document){iscsi("a", portalA), array("r", pathA)}, tamper: holds, fails: "holds an xfs file system"},
		{name: "array-elsewhere", after: []func(*config.Document){iscsi("a", portalA), array("r", pathB)}, stays: true},
		{name: "array-later", before: []func(*config.Document){iscsi("a", portalA)}, after: []func(*config.Document){iscsi("a", portalA), array("r", pathA)}},
		{name: "boot", before: []func(*config.Document){iscsi("a", portalA), array("r", pathA)}, after: []func(*config.Document){iscsi("a", portalA), array("r", pathA)},
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Logout(iqn) }},
		{name: "lost", before: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)}, after: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)},
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Portal(portalA, false); m.Portal(addrA, false) }},
		{name: "no-disk", before: []func(*config.Document){iscsi("a", portalA)}, after: []func(*config.Document){iscsi("a", portalA)},
			tamper: func(t *testing.T, m *storagefake.Machine) {
				m.Logout(iqn)
				m.Target(iqn)
				if err := m.Login(iqn, portalA); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "another-portal", before: []func(*config.Document){iscsi("a", portalA)}, after: []func(*config.Document){iscsi("a", portalB)}},
		{name: "another-portal-in-use", before: []func(*config.Document){iscsi("a", portalA), array("r", pathA)}, after: []func(*config.Document){iscsi("a", portalB), array("r", pathA)}, stays: true},
		{name: "another-secret", before: []func(*config.Document){iscsi("a", portalA), chap("u", "example-secret1")}, after: []func(*config.Document){iscsi("a", portalA), chap("u", "example-secret2")}},
		{name: "another-secret-in-use", before: []func(*config.Document){iscsi("a", portalA), chap("u", "example-secret1"), array("r", pathA)}, after: []func(*config.Document){iscsi("a", portalA), chap("u", "example-secret2"), array("r", pathA)}},
		{name: "delete", before: []func(*config.Document){iscsi("a", portalA), nvme("n", addrA)}, after: nil},
		{name: "delete-one-way", before: []func(*config.Document){nvme("n", addrA), nvme("n6", addrB), array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")},
			after: []func(*config.Document){nvme("n", addrA), array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}},
		{name: "delete-in-use", before: []func(*config.Document){nvme("n", addrA), array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")},
			after: []func(*config.Document){array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}, stays: true},
		{name: "delete-mounted", before: []func(*config.Document){iscsi("a", portalA)}, after: nil, named: []string{"remote/a"},
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Look("sdb").Mounts = []string{"/mnt/by-hand"} }},
		{name: "foreign", after: []func(*config.Document){nvme("n", addrA)}, tamper: func(t *testing.T, m *storagefake.Machine) {
			if err := m.Login(iqn, portalB); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine()
			var inForce *config.Document
			declared := document(c.after...)
			if c.before != nil {
				inForce = document(c.before...)
				if _, err := (plan.Runner{}).Run(t.Context(), planned(t, m, nil, inForce)); err != nil {
					t.Fatal(err)
				}
			}
			if c.tamper != nil {
				c.tamper(t, m)
			}
			before := picture(m)
			p := planned(t, m, inForce, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				text = planned(t, m, inForce, declared).Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
				if len(planned(t, m, inForce, declared).Needs(nil)) == 0 {
					t.Error("it is not refused without its name")
				}
			}
			golden(t, c.name+".txt", text)
			if c.stays {
				if len(p.Problems) == 0 {
					t.Error("it is not refused")
				}
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			_, err := (plan.Runner{}).Run(t.Context(), p)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("it failed with %v, not with %q", err, c.fails)
				}
				if d := cmp.Diff(before, picture(m)); d != "" {
					t.Errorf("it left something (-before +after):\n%s", d)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if again := planned(t, m, declared, declared); !again.Empty() {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
			}
			for _, call := range m.Calls() {
				if strings.Contains(call, "secret") {
					t.Errorf("a secret is in a command: %s", call)
				}
			}
		})
	}
}

func locked(_ *testing.T, m *storagefake.Machine) {
	m.Target(iqn, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 10 << 30}).Lock("esos", "example-secret")
}

func holds(_ *testing.T, m *storagefake.Machine) {
	m.Target(iqn, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 10 << 30,
		Device: &storagefake.Device{Content: []block.Content{{Type: "xfs", Label: "mail"}}, Super: map[string]any{}, Owner: "somebody's mail"}})
}

// picture is what of a machine must not be changed by a plan that failed.
func picture(m *storagefake.Machine) []string {
	var all []string
	sessions, _ := openiscsi.Sessions(m)
	for _, s := range sessions {
		all = append(all, fmt.Sprint(s, s.State, s.User, s.Disks))
	}
	controllers, _ := nvmehost.Controllers(m)
	for _, c := range controllers {
		all = append(all, fmt.Sprint(c, c.State))
	}
	for _, dir := range []string{"/var/lib/iscsi/nodes/" + iqn, "/dev/disk/by-id", "/dev/disk/by-path"} {
		names, err := m.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, n := range names {
			text, _ := m.ReadFile(filepath.Join(dir, n))
			all = append(all, filepath.Join(dir, n)+" "+string(text))
		}
	}
	return all
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
