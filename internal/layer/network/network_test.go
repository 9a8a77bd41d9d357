package network

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/layer/network/networktest"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func planned(t *testing.T, m *networktest.Machine, inForce, declared *config.Document) *plan.Plan {
	t.Helper()
	return layertest.Planned(t, Layer{Machine: m}, declared, inForce)
}

func carryOut(t *testing.T, p *plan.Plan) {
	t.Helper()
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

// TestFiles holds what is written for systemd-networkd.
func TestFiles(t *testing.T) {
	doc := example()
	f := doc.Network.Find("ens3")
	f.Routes = []config.Route{{To: "default6", Via: "fe80::1"}, {To: "2001:db8:9::/48"}}
	doc.Network.Interfaces = append(doc.Network.Interfaces,
		config.Interface{Name: "lacp", Kind: config.KindBond, MAC: "02:00:00:00:00:01", Bond: &config.Bond{Mode: "802.3ad", Members: []string{"ens8"}, LACPRate: "fast", XmitHashPolicy: "layer3+4", MIIMon: 50}},
		config.Interface{Name: "ens8"}, config.Interface{Name: "br1", Kind: config.KindBridge, Bridge: &config.Bridge{STP: true}, AcceptRA: new(true)})
	files := map[string]string{}
	for _, f := range doc.Network.Interfaces {
		maps.Copy(files, Render(doc.Network, f))
	}
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(files)) {
		b.WriteString("==> " + p + "\n" + files[p] + "\n")
	}
	b.WriteString("==> " + hostsFile + "\n" + renderHosts("127.0.0.1 localhost\n127.0.1.1 esos\n::1 localhost\n", doc.Network.Names()))
	b.WriteString("\n==> " + resolverFile + "\n" + renderResolver(doc.Network.Resolver()))
	golden(t, "files.txt", b.String())
}

// TestPlans: each case edits what is in force. Carried out, the plan leaves
// nothing to do, and undone it leaves the machine as it was.
func TestPlans(t *testing.T) {
	find := func(d *config.Document, name string) *config.Interface { return d.Network.Find(name) }
	for _, c := range []struct {
		name    string
		nothing bool // nothing is declared before
		tamper  func(m *networktest.Machine)
		edit    func(d *config.Document)
		stays   bool // the plan leads not to what is declared
	}{
		{name: "first", nothing: true},
		{name: "same"},
		{name: "address", edit: func(d *config.Document) { find(d, "br0").Addresses = []string{"192.0.2.11/24"} }},
		{name: "static-instead-of-dhcp", edit: func(d *config.Document) {
			*find(d, "ens3") = config.Interface{Name: "ens3", Addresses: []string{"192.0.2.99/24"}}
		}},
		{name: "vlan-id", edit: func(d *config.Document) { find(d, "bond0.20").VLAN.ID = 21 }},
		{name: "bond-mode", edit: func(d *config.Document) {
			find(d, "bond0").Bond.Mode, find(d, "bond0").Bond.Primary = "balance-rr", ""
		}},
		{name: "mtu", edit: func(d *config.Document) { find(d, "ens3").MTU = 4000 }},
		{name: "mtu-gone", edit: func(d *config.Document) { find(d, "bond0").MTU = 0 }},
		{name: "nothing-declared", edit: func(d *config.Document) { d.Network = config.Network{} }},
		{name: "dns-gone", edit: func(d *config.Document) { d.Network.DNS, d.Network.Search = nil, nil }},
		{name: "name", edit: func(d *config.Document) { d.Network.Hostname = "array2" }},
		{name: "link-lost", tamper: func(m *networktest.Machine) { _ = m.DeleteLink("br0") }},
		{name: "vlan-lost", tamper: func(m *networktest.Machine) { _ = m.DeleteLink("bond0.20") }},
		{name: "port-lost", tamper: func(m *networktest.Machine) { delete(m.Interfaces, "ens4") }, stays: true},
		{name: "no-such-port", edit: func(d *config.Document) {
			d.Network.Interfaces = append(d.Network.Interfaces, config.Interface{Name: "ens9", DHCP: "both"},
				config.Interface{Name: "ens8", MAC: "52:54:00:00:00:09"}, config.Interface{Name: "ens3b", Kind: config.KindBridge})
		}, tamper: func(m *networktest.Machine) { m.Interfaces["ens3b"] = link{Name: "ens3b", MAC: "52:54:00:12:34:77"} }, stays: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := networktest.New("ens3", "ens4", "ens5")
			m.Interfaces["ens7"] = link{Name: "ens7", MAC: "52:54:00:12:34:05", PermanentMAC: "52:54:00:12:34:05", MTU: 1500, Up: true}
			delete(m.Interfaces, "ens5") // its name is another one until the next boot
			inForce := &config.Document{Version: 1, Name: "array1"}
			declared := example()
			if !c.nothing {
				carryOut(t, planned(t, m, inForce, declared))
				inForce = declared
			}
			if c.tamper != nil {
				c.tamper(m)
			}
			next := declared.Clone()
			if c.edit != nil {
				c.edit(next)
			}
			before, links := maps.Clone(m.Etc), maps.Clone(m.Interfaces)
			p := planned(t, m, inForce, next)
			golden(t, c.name+".txt", p.Text(nil))
			if len(p.Problems) > 0 {
				return
			}
			m.Did = nil
			carryOut(t, p)
			if again := planned(t, m, next, next); !again.Empty() && !c.stays {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
			}
			if c.tamper != nil || p.Empty() {
				return
			}
			// Its error tells that it was undone.
			_ = (plan.Runner{}).Undo(t.Context(), p, errors.New("the test wants it undone"))
			if d := cmp.Diff(before, m.Etc); d != "" {
				t.Errorf("undone, the files are not what they were (-want +got):\n%s", d)
			}
			for name, l := range links {
				if got := m.Interfaces[name]; got.MTU != l.MTU || got.Master != l.Master || got.Parent != l.Parent || got.VLANID != l.VLANID || got.BondMode != l.BondMode || !slices.Equal(got.Addresses, l.Addresses) {
					t.Errorf("undone, %s is %+v, and was %+v", name, got, l)
				}
			}
			for name := range m.Interfaces {
				if _, was := links[name]; !was {
					t.Errorf("undone, %s is still there", name)
				}
			}
		})
	}
}

// TestOnlyWhatDiffersIsTouched: the change of an address writes one file.
func TestOnlyWhatDiffersIsTouched(t *testing.T) {
	m := networktest.New("ens3", "ens4", "ens5")
	doc := example()
	carryOut(t, planned(t, m, nil, doc))
	before := maps.Clone(m.Etc)
	next := doc.Clone()
	next.Network.Find("br0").Addresses = []string{"192.0.2.12/24"}
	m.Did = nil
	carryOut(t, planned(t, m, doc, next))
	for p, text := range m.Etc {
		if before[p] != text && p != path("br0", ".network") {
			t.Errorf("%s was written, too", p)
		}
	}
	if !slices.Equal(m.Did, []string{"reload"}) {
		t.Errorf("did %q, want one reload", m.Did)
	}
}

// TestFailureUndoesAll: an interface that does not come up, and a disk that is
// full, leave the network as it was.
func TestFailureUndoesAll(t *testing.T) {
	for name, spoil := range map[string]func(m *networktest.Machine){
		"no address": func(m *networktest.Machine) { m.Deaf["br0"] = true },
		"full":       func(m *networktest.Machine) { m.Full = path("br0", ".network") },
	} {
		t.Run(name, func(t *testing.T) {
			m := networktest.New("ens3", "ens4", "ens5")
			spoil(m)
			before := maps.Clone(m.Etc)
			doc := example()
			l := Layer{Machine: m, Patience: 50 * time.Millisecond}
			seen := &layer.Observed{}
			if err := l.Observe(t.Context(), doc, seen); err != nil {
				t.Fatal(err)
			}
			var b plan.Builder
			l.Plan(doc, seen, &b)
			p, err := b.Plan()
			if err != nil {
				t.Fatal(err)
			}
			_, err = plan.Runner{}.Run(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), "br0") {
				t.Fatalf("error %v, want one about br0", err)
			}
			t.Log(err)
			if d := cmp.Diff(before, m.Etc); d != "" {
				t.Errorf("the files are not what they were (-want +got):\n%s", d)
			}
			if len(m.Interfaces) != 3 || m.Name != "esos" {
				t.Errorf("left: %v, name %s", m.Interfaces, m.Name)
			}
		})
	}
}

// TestWhileTheSystemStarts: files are written for a networkd that reads them
// by and by; nothing is waited for.
func TestWhileTheSystemStarts(t *testing.T) {
	m := networktest.New("ens3", "ens4", "ens5")
	m.Stopped, m.Deaf["br0"] = true, true
	began := time.Now()
	doc := example()
	carryOut(t, planned(t, m, nil, doc))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if p := planned(t, m, doc, doc); !p.Empty() {
		t.Errorf("while the system starts, there is to do:\n%s", p.Text(nil))
	}
}

// example is the network of examples/network.yaml.
func example() *config.Document {
	doc, _, err := config.Load("../../../examples/network.yaml")
	if err != nil {
		panic(err) // config's own tests hold it to be valid
	}
	return doc
}
