package appliance_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
)

// steps plans an edit and returns its steps as text, a line each.
func (b *nvmeBench) steps(edit func(d *config.Document)) string {
	b.Helper()
	p, err := b.app.PlanChange(b.Context(), appliance.Change{Edit: func(d *config.Document) error { edit(d); return nil }})
	b.ok(err)
	var lines []string
	for _, s := range p.Steps {
		lines = append(lines, s.Sentence+" | "+s.Destroys+s.Disrupts)
	}
	for _, n := range p.Problems {
		lines = append(lines, "refused: "+n.Object+": "+n.Message)
	}
	return strings.Join(lines, "\n")
}

func (b *nvmeBench) says(text string, words ...string) {
	b.Helper()
	for _, w := range words {
		i := strings.Index(text, w)
		if i < 0 {
			b.Errorf("nothing says %q after that:\n%s", w, text)
			return
		}
		text = text[i:]
	}
}

// TestNVMePlanSaysWhoFeelsIt: who is connected is told before a change, by
// kernels that know and by those that do not.
func TestNVMePlanSaysWhoFeelsIt(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	b.apply(appliance.Change{Document: nvmeDocument()})
	front, back := b.connect(1, ann), b.connect(2, ben)
	b.says(b.steps(func(d *config.Document) { d.NVMe.Subsystems = nil }),
		"Cut NVMe subsystem "+mail+" off from ports front, back | 2 hosts are connected", "Delete namespace 1 of", "| 2 hosts", "Delete NVMe subsystem")
	move := func(d *config.Document) { d.NVMe.Ports[0].Address = "192.0.2.20:4420" }
	b.says(b.steps(move), "off from port front | 1 host is connected: "+ann, "Delete NVMe port front (tcp on 192.0.2.10:4420)",
		"Create NVMe port front (tcp on 192.0.2.20:4420)", "Let hosts reach NVMe subsystem "+mail+" at port front")
	b.edit(move)
	if !front.Ended || back.Ended {
		t.Errorf("a port moved: who came through it is cut off %v, who did not %v", front.Ended, back.Ended)
	}
	b.says(b.steps(func(d *config.Document) { d.NVMe.Subsystems[0].Hosts = d.NVMe.Subsystems[0].Hosts[:1] }), "Change NVMe subsystem", "| 1 host is connected: "+ben)
	b.says(b.steps(func(d *config.Document) { d.NVMe.Subsystems[0].Serial = "another" }), "refused: nvme-subsystem/"+mail+": hosts know it by serial", "remove the subsystem")

	silent := newNVMeBench(t, nvmetfake.Options{NoDebug: true})
	silent.apply(appliance.Change{Document: nvmeDocument()})
	silent.says(silent.steps(func(d *config.Document) { d.NVMe.Subsystems[0].Namespaces = nil }), "of which this kernel does not tell")
	silent.says(silent.steps(func(d *config.Document) { d.NVMe.Subsystems[0].Hosts = d.NVMe.Subsystems[0].Hosts[:1] }), "stay connected until they leave")
}

// TestNVMeDeviceChangesSides: a device goes from a LUN to a namespace and
// back, and is never in both.
func TestNVMeDeviceChangesSides(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	d := nvmeDocument()
	lun := config.LUN{LUN: 0, Device: "db01"}
	d.ISCSI.Portals = []config.Portal{{Name: "p", Address: "127.0.0.1:3260"}}
	d.Targets = []config.Target{{Name: "iqn.2026-11.com.example:t", Groups: []config.Group{{Name: "g", Initiators: []string{"iqn.2026-11.com.example:i"}, LUNs: []config.LUN{lun}}}}}
	ns := d.NVMe.Subsystems[0].Namespaces
	d.NVMe.Subsystems[0].Namespaces = nil
	b.apply(appliance.Change{Document: d})
	there := func(device bool) {
		t.Helper()
		s, err := b.engine.Observe(t.Context())
		b.ok(err)
		inEngine := false
		for _, x := range s.Devices {
			inEngine = inEngine || x.Name == "db01"
		}
		on, _ := b.kernel.ReadFile("subsystems/" + mail + "/namespaces/1/enable") // an error is no namespace
		if inEngine != device || (on == "1\n") == device {
			t.Fatalf("in the engine: %v, as a namespace: %q", inEngine, on)
		}
	}
	there(true)
	toNVMe := func(d *config.Document) {
		d.Targets[0].Groups[0].LUNs = nil
		d.NVMe.Subsystems[0].Namespaces = ns
	}
	b.says(b.steps(toNVMe), "Unmap LUN 0", "Delete device db01", "Create namespace 1", "| as a LUN it had blocks of 512 bytes")
	b.edit(toNVMe)
	there(false)
	toSCSI := func(d *config.Document) {
		d.Targets[0].Groups[0].LUNs = []config.LUN{lun}
		d.NVMe.Subsystems[0].Namespaces = nil
	}
	b.says(b.steps(toSCSI), "Delete namespace 1", "Create device db01", "Map LUN 0")
	b.edit(toSCSI)
	there(true)
}

// TestNVMeLeavesOthersAlone: what somebody else set up stays, and is not taken
// over by a document that happens to have its name or number.
func TestNVMeLeavesOthersAlone(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	const theirs = "nqn.2026-11.com.example:theirs"
	for _, dir := range []string{"subsystems/" + theirs, "subsystems/" + theirs + "/namespaces/1", "ports/1", "hosts/" + ann} {
		b.ok(b.kernel.Mkdir(dir))
	}
	for _, s := range [][2]string{{"addr_trtype", "tcp"}, {"addr_adrfam", "ipv4"}, {"addr_traddr", "192.0.2.99"}, {"addr_trsvcid", "4420"}} {
		b.ok(b.kernel.WriteFile("ports/1/"+s[0], s[1]))
	}
	b.ok(b.kernel.Symlink("subsystems/"+theirs, "ports/1/subsystems/"+theirs))
	before := b.kernel.Dump()
	var refused *appliance.RefusedError
	_, err := b.app.Apply(t.Context(), appliance.Change{Document: nvmeDocument()})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "a port 1 already that somebody else set up") {
		t.Fatalf("somebody else's port is taken over: %v", err)
	}
	d := nvmeDocument()
	d.NVMe.Ports[0].ID, d.NVMe.Ports[1].ID = 7, 8
	d.NVMe.Subsystems[0].NQN = theirs
	if _, err := b.app.Apply(t.Context(), appliance.Change{Document: d}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "somebody else set it up") {
		t.Fatalf("somebody else's subsystem is taken over: %v", err)
	}
	if b.kernel.Dump() != before {
		t.Error("what was refused changed something")
	}
	d.NVMe.Subsystems[0].NQN = mail
	b.apply(appliance.Change{Document: d})
	b.edit(func(d *config.Document) { d.NVMe = config.NVMe{} })
	if after := b.kernel.Dump(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestNVMeWordsLost: the files that say what is ours may be lost.
func TestNVMeWordsLost(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	empty := b.kernel.Dump()
	b.apply(appliance.Change{Document: nvmeDocument()})
	b.end()
	b.ok(os.RemoveAll(filepath.Join(b.dir, "run")))
	b.kernel.Requests()
	b.start()
	for _, r := range b.kernel.Requests() {
		if !strings.HasSuffix(r, "revalidate_size 1") { // which size was told is not known
			t.Errorf("the next daemon asked for %q", r)
		}
	}
	b.edit(func(d *config.Document) { d.NVMe = config.NVMe{} })
	dump := b.kernel.Dump()
	for _, host := range []string{ann, ben} { // hosts may be somebody else's, and let nobody in
		b.ok(b.kernel.Rmdir("hosts/" + host))
	}
	if after := b.kernel.Dump(); after != empty {
		t.Errorf("left in the kernel:\n%s", dump)
	}
}

// TestNVMeDriftGoes: what somebody did to ours by hand is taken back.
func TestNVMeDriftGoes(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	b.apply(appliance.Change{Document: nvmeDocument()})
	want := b.kernel.Dump()
	for name, drift := range map[string]func() error{
		"a namespace more":    func() error { return b.kernel.Mkdir("subsystems/" + mail + "/namespaces/9") },
		"a namespace less":    func() error { return b.kernel.Rmdir("subsystems/" + mail + "/namespaces/1") },
		"a disabled one":      func() error { return b.kernel.WriteFile("subsystems/"+mail+"/namespaces/1/enable", "0") },
		"a host less":         func() error { return b.kernel.Remove("subsystems/" + mail + "/allowed_hosts/" + ann) },
		"a port less":         func() error { return b.kernel.Remove("ports/1/subsystems/" + mail) },
		"another state":       func() error { return b.kernel.WriteFile("ports/2/ana_groups/1/ana_state", "inaccessible") },
		"another group":       func() error { return b.kernel.WriteFile("subsystems/"+mail+"/namespaces/1/ana_grpid", "5") },
		"an ANA group more":   func() error { return b.kernel.Mkdir("ports/2/ana_groups/3") },
		"a key of somebody's": func() error { return b.kernel.WriteFile("hosts/"+ann+"/dhchap_key", "DHHC-1:00:x:") },
	} {
		b.ok(drift())
		b.ok(b.app.Reconcile(t.Context()))
		if got := b.kernel.Dump(); got != want {
			t.Errorf("%s: \n%s", name, got)
		}
	}
}

// TestNVMeFailureIsUndone has each request of a change fail: the change is
// taken back, whatever it was, and made as soon as it can be.
func TestNVMeFailureIsUndone(t *testing.T) {
	b := newNVMeBench(t, nvmetfake.Options{})
	d := nvmeDocument()
	d.NVMe.Subsystems[0].Namespaces[0].UUID = "11111111-2222-8333-8444-555555555555"
	b.apply(appliance.Change{Document: d})
	want := b.kernel.Dump()
	edit := func(d *config.Document) error {
		d.NVMe.Ports[0].Address = "192.0.2.20:4420"
		d.NVMe.Ports = append(d.NVMe.Ports, config.NVMePort{Name: "third", ID: 9, Transport: "tcp", Address: ":4421"})
		s := &d.NVMe.Subsystems[0]
		s.Hosts = s.Hosts[1:]
		s.Namespaces[0].Device, s.Namespaces[0].UUID = "db02", ""
		return nil
	}
	for n := 0; ; n++ {
		b.kernel.FailOnce(n)
		op, err := b.app.Apply(t.Context(), appliance.Change{Edit: edit, Who: "test"})
		b.ok(err)
		err = op.Wait(t.Context())
		if err == nil {
			if n < 20 {
				t.Errorf("only %d requests", n)
			}
			// All of them were taken. Undo put everything back: nothing was left to
			// be reconciled after it.
			b.end()
			events, err := os.ReadFile(filepath.Join(b.dir, "events.jsonl"))
			b.ok(err)
			if failed := strings.Count(string(events), "apply.failed"); failed != n || strings.Contains(string(events), "array.reconciled") {
				t.Errorf("%d changes failed of %d; what they left had to be reconciled: %v", failed, n, strings.Contains(string(events), "array.reconciled"))
			}
			return
		}
		if got := b.kernel.Dump(); got != want {
			t.Fatalf("after request %d failed (%v):\n%s\nwant:\n%s", n+1, err, got, want)
		}
	}
}

// TestNVMeWithoutATarget: a program that serves no NVMe-oF says so.
func TestNVMeWithoutATarget(t *testing.T) {
	a, err := appliance.Open(t.Context(), appliance.Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Apply(t.Context(), appliance.Change{Document: nvmeDocument()}); err == nil || !strings.Contains(err.Error(), "serves no NVMe-oF") {
		t.Errorf("it was not refused: %v", err)
	}
	if all, known, err := a.NVMeControllers(t.Context()); len(all) > 0 || !known || err != nil {
		t.Errorf("connected: %v, %v, %v", all, known, err)
	}
}
