package remote

import (
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
	"github.com/esos-project/esos/internal/layer/remote/remotetest"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

func planned(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	stack := []layer.Layer{disk.Layer{Machine: m}, Layer{Machine: m, Patience: 200 * time.Millisecond}, remotetest.User{M: m}}
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
		{name: "first", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}},
		{name: "paths", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.ISCSI("b", remotetest.PortalB), remotetest.NVMe("n", remotetest.AddrA), remotetest.NVMe("n6", remotetest.AddrB)}},
		{name: "chap", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("esos", "example-secret")}, tamper: locked},
		{name: "chap-wrong", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("esos", "another-secret")}, tamper: locked, fails: "let initiator iqn.2026-11.org.esos-project:host.0123456789abcdef in"},
		{name: "unreachable", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, tamper: func(_ *testing.T, m *storagefake.Machine) { m.Portal(remotetest.PortalA, false) }, fails: "nothing answers at 10.0.0.5:3260"},
		{name: "same", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}},
		{name: "with-array", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)}},
		{name: "with-array-of-nvme", after: []func(*config.Document){remotetest.NVMe("n", remotetest.AddrA), remotetest.Array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}},
		{name: "with-array-on-data", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)}, tamper: holds, fails: "holds an xfs file system"},
		{name: "array-elsewhere", after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathB)}, stays: true},
		{name: "array-later", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)}},
		{name: "boot", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)},
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Logout(remotetest.IQN) }},
		{name: "lost", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)},
			tamper: func(_ *testing.T, m *storagefake.Machine) {
				m.Portal(remotetest.PortalA, false)
				m.Portal(remotetest.AddrA, false)
			}},
		{name: "no-disk", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)},
			tamper: func(t *testing.T, m *storagefake.Machine) {
				m.Logout(remotetest.IQN)
				m.Target(remotetest.IQN)
				if err := m.Login(remotetest.IQN, remotetest.PortalA); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "another-portal", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalB)}},
		{name: "another-portal-in-use", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.Array("r", remotetest.PathA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalB), remotetest.Array("r", remotetest.PathA)}, stays: true},
		{name: "another-secret", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret1")}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret2")}},
		{name: "another-secret-in-use", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret1"), remotetest.Array("r", remotetest.PathA)}, after: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret2"), remotetest.Array("r", remotetest.PathA)}},
		{name: "delete", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}, after: nil},
		{name: "delete-one-way", before: []func(*config.Document){remotetest.NVMe("n", remotetest.AddrA), remotetest.NVMe("n6", remotetest.AddrB), remotetest.Array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")},
			after: []func(*config.Document){remotetest.NVMe("n", remotetest.AddrA), remotetest.Array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}},
		{name: "delete-in-use", before: []func(*config.Document){remotetest.NVMe("n", remotetest.AddrA), remotetest.Array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")},
			after: []func(*config.Document){remotetest.Array("r", "/dev/disk/by-id/nvme-uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8")}, stays: true},
		{name: "delete-mounted", before: []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, after: nil, named: []string{"remote/a"},
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Look("sdb").Mounts = []string{"/mnt/by-hand"} }},
		{name: "foreign", after: []func(*config.Document){remotetest.NVMe("n", remotetest.AddrA)}, tamper: func(t *testing.T, m *storagefake.Machine) {
			if err := m.Login(remotetest.IQN, remotetest.PortalB); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := remotetest.Machine()
			var inForce *config.Document
			declared := remotetest.Document(c.after...)
			if c.before != nil {
				inForce = remotetest.Document(c.before...)
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
	m.Target(remotetest.IQN, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 10 << 30}).Lock("esos", "example-secret")
}

func holds(_ *testing.T, m *storagefake.Machine) {
	m.Target(remotetest.IQN, &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 10 << 30,
		Device: &storagefake.Device{Content: []block.Content{{Type: "xfs", Label: "mail"}}, Super: map[string]any{}, Owner: "somebody's mail"}})
}

// picture is what of a machine must not be changed by a plan that failed.
func picture(m *storagefake.Machine) []string {
	var all []string
	sessions, _ := openiscsi.Sessions(m)
	for _, s := range sessions {
		all = append(all, fmt.Sprint(s, s.State, s.User, len(s.Disks)))
	}
	controllers, _ := nvmehost.Controllers(m)
	for _, c := range controllers {
		all = append(all, fmt.Sprint(c, c.State))
	}
	for _, dir := range []string{"/var/lib/iscsi/nodes/" + remotetest.IQN, "/dev/disk/by-id", "/dev/disk/by-path"} {
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
