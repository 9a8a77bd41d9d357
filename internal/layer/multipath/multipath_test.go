package multipath

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/multipathd"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/remote"
	"github.com/esos-project/esos/internal/layer/remote/remotetest"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

type edits = []func(*config.Document)

func planned(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	const patience = 200 * time.Millisecond
	stack := []layer.Layer{disk.Layer{Machine: m}, remote.Layer{Machine: m, Patience: patience}, Layer{Machine: m, Patience: patience}, remotetest.User{M: m}}
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

func carryOut(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document) {
	t.Helper()
	p := planned(t, m, inForce, declared)
	if len(p.Problems) > 0 || len(p.Needs(nil)) > 0 {
		t.Fatalf("refused: %v %q", p.Problems, p.Needs(nil))
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

var (
	on   = func(d *config.Document) { d.Storage.Multipath.Enabled = true }
	db   = remotetest.Map("db", remotetest.WWID)
	a, b = remotetest.ISCSI("a", remotetest.PortalA), remotetest.ISCSI("b", remotetest.PortalB)
	raid = remotetest.Array("r", "/dev/mapper/db")
	fast = func(d *config.Document) { d.Storage.Multipath.Policy = "queue-length" }
)

// Each case leads from a document that is in force to another one. The golden
// file is the plan; carried out, nothing must be left to do.
func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name   string
		before edits
		after  edits
		tamper func(t *testing.T, m *storagefake.Machine)
		fails  string // the plan cannot be carried out: what the error says
		stays  bool   // it is refused, or cannot lead to what is declared
	}{
		{name: "first", before: edits{a, b}, after: edits{a, b, db}},
		{name: "enable", before: edits{a, b}, after: edits{a, b, on}},
		{name: "all-at-once", after: edits{a, b, db, raid}},
		{name: "all-at-once-on-data", after: edits{a, b, db, raid}, fails: "holds an xfs file system", tamper: func(t *testing.T, m *storagefake.Machine) { remotetest.Holds(m) }},
		{name: "with-array", before: edits{a, b, db}, after: edits{a, b, db, raid}},
		{name: "same", before: edits{a, b, db, raid}, after: edits{a, b, db, raid}},
		{name: "boot", before: edits{a, b, db, raid}, after: edits{a, b, db, raid}, tamper: func(_ *testing.T, m *storagefake.Machine) { m.RebootRemote() }},
		{name: "path-down", before: edits{a, b, db}, after: edits{a, b, db}, tamper: func(_ *testing.T, m *storagefake.Machine) { m.Portal(remotetest.PortalB, false) }},
		{name: "all-paths-down", before: edits{a, b, db, raid}, after: edits{a, b, db, raid}, tamper: func(_ *testing.T, m *storagefake.Machine) {
			m.Portal(remotetest.PortalA, false)
			m.Portal(remotetest.PortalB, false)
		}},
		{name: "one-path", before: edits{a, db}, after: edits{a, db}},
		{name: "not-there", before: edits{a, b}, after: edits{a, b, remotetest.Map("x", "3600140500000009")}, stays: true},
		{name: "not-there-any-more", before: edits{a, db}, after: edits{db}, tamper: func(_ *testing.T, m *storagefake.Machine) { m.Logout(remotetest.IQN) }},
		{name: "path-in-use", before: edits{a, b}, after: edits{a, b, db}, stays: true, tamper: func(_ *testing.T, m *storagefake.Machine) { m.Look("sdb").Mounts = []string{"/mnt/by-hand"} }},
		{name: "path-declared", before: edits{a, b, remotetest.Array("r", remotetest.PathA)}, after: edits{a, b, db, remotetest.Array("r", remotetest.PathA)}, stays: true},
		{name: "member-claimed", before: edits{a, b, db}, after: edits{a, b, db, remotetest.Array("r", remotetest.PathA)}, stays: true},
		{name: "foreign-file", before: edits{a, b}, after: edits{a, b, db}, stays: true, tamper: func(t *testing.T, m *storagefake.Machine) {
			if err := m.Save(multipathd.ConfFile, []byte("defaults {\n}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "foreign-file-not-declared", before: edits{a}, after: edits{a}, tamper: func(t *testing.T, m *storagefake.Machine) {
			if err := m.Save(multipathd.ConfFile, []byte("defaults {\n}\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "policy", before: edits{a, b, db, raid}, after: edits{a, b, db, raid, fast}},
		{name: "another-name", before: edits{a, b, db}, after: edits{a, b, remotetest.Map("mail", remotetest.WWID)}},
		{name: "another-name-in-use", before: edits{a, b, db}, after: edits{a, b, remotetest.Map("mail", remotetest.WWID)}, stays: true,
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Look("/dev/mapper/db").Mounts = []string{"/mnt/by-hand"} }},
		{name: "unname", before: edits{a, b, db}, after: edits{a, b, on}},
		{name: "unname-in-use", before: edits{a, b, db, raid}, after: edits{a, b, on, raid}, stays: true},
		{name: "disable", before: edits{a, b, db}, after: edits{a, b}},
		{name: "disable-in-use", before: edits{a, b, db, raid}, after: edits{a, b, raid}, stays: true},
		{name: "disable-mounted", before: edits{a, b, db}, after: edits{a, b}, stays: true,
			tamper: func(_ *testing.T, m *storagefake.Machine) { m.Look("/dev/mapper/db").Mounts = []string{"/mnt/by-hand"} }},
		{name: "delete-a-path", before: edits{a, b, db, raid}, after: edits{a, db, raid}},
		{name: "delete-the-last-path", before: edits{a, db, raid}, after: edits{db, raid}, stays: true},
		{name: "delete-all", before: edits{a, b, db}, after: nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := remotetest.Machine()
			inForce, declared := remotetest.Document(c.before...), remotetest.Document(c.after...)
			carryOut(t, m, nil, inForce)
			if c.tamper != nil {
				c.tamper(t, m)
			}
			before := picture(t, m)
			p := planned(t, m, inForce, declared)
			golden(t, c.name+".txt", p.Text(nil))
			if c.stays {
				if len(p.Problems) == 0 {
					t.Error("it is not refused")
				}
				return
			}
			if needs := p.Needs(nil); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			_, err := (plan.Runner{}).Run(t.Context(), p)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("it failed with %v, not with %q", err, c.fails)
				}
				if d := cmp.Diff(before, picture(t, m)); d != "" {
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
			if lost := m.Lost(); len(lost) > 0 {
				t.Errorf("lost %q", lost)
			}
		})
	}
}

// TestFaults has each change of the machine fail, before and after it was
// made: then all is back as it was, or the error names what is not; and the
// same change can be made anew.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after edits
	}{
		{"first", edits{a, b}, edits{a, b, db, raid}},
		{"all at once", nil, edits{a, b, db, raid}},
		{"another name", edits{a, b, db}, edits{a, b, remotetest.Map("mail", remotetest.WWID)}},
		{"unname", edits{a, b, db}, edits{a, b, on}},
		{"disable", edits{a, b, db}, edits{a, b}},
		{"delete all", edits{a, b, db}, nil},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, done %v", c.name, after), func(t *testing.T) {
				n := 1
				for fault(t, c.before, c.after, n, after) {
					n++
				}
				if n == 1 {
					t.Error("nothing failed")
				}
			})
		}
	}
}

// fault has the nth change fail; it says whether there was one.
func fault(t *testing.T, before, after edits, n int, done bool) bool {
	m := remotetest.Machine()
	inForce, declared := remotetest.Document(before...), remotetest.Document(after...)
	carryOut(t, m, nil, inForce)
	was := picture(t, m)
	p := planned(t, m, inForce, declared)
	m.FailAt(n, done)
	_, err := (plan.Runner{}).Run(t.Context(), p)
	injected := m.Injected()
	m.FailAt(0, false)
	var failed *plan.Error
	switch {
	case err == nil:
		inForce = declared
	case !injected || !errors.As(err, &failed):
		t.Fatalf("change %d: %v", n, err)
	default:
		if d := cmp.Diff(was, picture(t, m)); d != "" && len(failed.NotBack) == 0 {
			t.Errorf("change %d, %v: it is not as it was (-before +after):\n%s", n, err, d)
		}
	}
	if !injected {
		return false
	}
	carryOut(t, m, inForce, declared)
	if again := planned(t, m, declared, declared); !again.Empty() {
		t.Errorf("change %d: there is still to do:\n%s", n, again.Text(nil))
	}
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("change %d: lost %q", n, lost)
	}
	return true
}

// picture is what of a machine must not be changed by a plan that failed.
func picture(t *testing.T, m *storagefake.Machine) []string {
	t.Helper()
	sessions, err := openiscsi.Sessions(m)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range sessions {
		all = append(all, fmt.Sprint(s, s.State, len(s.Disks)))
	}
	slices.Sort(all)
	maps, _ := m.ReadDir("/dev/mapper") // none
	all = append(all, maps...)
	conf, _ := m.ReadFile(multipathd.ConfFile) // none
	return append(all, string(conf), fmt.Sprint("multipathd runs: ", m.Running("multipathd.service")))
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
