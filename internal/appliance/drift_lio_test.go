package appliance_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
	"github.com/esos-project/esos/internal/plan"
)

const (
	diskIQN  = "iqn.2026-11.com.example:disk"
	alice    = "iqn.1993-08.org.debian:01:alice"
	bob      = "iqn.1993-08.org.debian:01:bob"
	portals1 = "iscsi/" + diskIQN + "/tpgt_1"
)

// hand is an array on an imitated kernel, and somebody with a shell.
type hand struct {
	*testing.T
	kernel *liofake.Tree
	dir    string
	app    *appliance.Appliance
	engine *lio.Engine
}

// ok does what somebody does in the kernel by hand.
func (h *hand) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *hand) write(file, text string) { h.Helper(); h.ok(h.kernel.WriteFile(file, text)) }
func (h *hand) mkdir(dir string)        { h.Helper(); h.ok(h.kernel.Mkdir(dir)) }
func (h *hand) link(to, at string)      { h.Helper(); h.ok(h.kernel.Symlink(to, at)) }

// begin starts the daemon (again).
func (h *hand) begin() {
	h.Helper()
	quiet := slog.New(slog.DiscardHandler)
	var err error
	h.engine, err = lio.Start(h.Context(), lio.Options{Kernel: h.kernel, RunDir: filepath.Join(h.dir, "run"), StateDir: filepath.Join(h.dir, "state"), DataDir: h.dir, Log: quiet})
	h.ok(err)
	h.app, err = appliance.Open(h.Context(), appliance.Options{DataDir: h.dir, Engine: h.engine, Log: quiet, Retry: time.Hour})
	h.ok(err)
}

func (h *hand) apply(c appliance.Change) []string {
	h.Helper()
	c.Who = "test"
	h.kernel.Requests()
	op, err := h.app.Apply(h.Context(), c)
	h.ok(err)
	h.ok(op.Wait(h.Context()))
	return h.kernel.Requests()
}

// drift is what was changed by hand, a line an object.
func (h *hand) drift() []string {
	h.Helper()
	p, err := h.app.Drift(h.Context())
	h.ok(err)
	var lines []string
	for _, d := range p.Drift {
		line := string(d.What) + " " + d.Object
		for _, f := range d.Fields {
			if d.What == plan.Changed {
				line += "; " + f.String()
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func newHand(t *testing.T) *hand {
	h := &hand{T: t, kernel: liofake.New(liofake.Options{RTPI: true}), dir: t.TempDir()}
	h.begin()
	t.Cleanup(func() { h.ok(h.app.Close()) })
	h.apply(appliance.Change{Document: &config.Document{
		Version: 1, Name: "array", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
		Devices: []config.Device{{Name: "d0", Handler: config.FileIO, Size: 1 << 20, Attributes: map[string]string{"queue_depth": "64"}}, {Name: "d1", Handler: config.FileIO, Size: 1 << 20}},
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p1", Address: "127.0.0.1:3260"}}},
		Targets: []config.Target{{Name: diskIQN, Attributes: map[string]string{"login_timeout": "20"}, Auth: config.Auth{Users: []config.CHAPUser{{Name: "host", Secret: "twelve-bytes-and-more"}}},
			Groups: []config.Group{{Name: "hosts", Initiators: []string{alice}, Attributes: map[string]string{"dataout_timeout": "9"}, LUNs: []config.LUN{{LUN: 0, Device: "d0"}, {LUN: 1, Device: "d1", ReadOnly: true}}}}}},
		DeviceGroups: []config.DeviceGroup{{Name: "dg", Devices: []string{"d0"}, TargetGroups: []config.TargetGroup{{Name: "tg", ID: 5, State: "nonoptimized", Targets: []config.GroupTarget{{Name: diskIQN}}}}}},
	}})
	return h
}

// lunOf is the LUN of the portal group that leads to a device.
func (h *hand) lunOf(device string) string {
	h.Helper()
	for line := range strings.Lines(h.kernel.Dump()) {
		at, to, ok := strings.Cut(strings.TrimSpace(line), " -> ")
		if ok && strings.HasPrefix(at, portals1+"/lun/") && strings.HasSuffix(to, "/"+device) {
			return filepath.Dir(at)
		}
	}
	h.Fatalf("no LUN leads to %s", device)
	return ""
}

// TestAttributesAreChangedInPlace: each is one step of its object and one
// write to the kernel, and one that leaves the document is as it was.
func TestAttributesAreChangedInPlace(t *testing.T) {
	h := newHand(t)
	before, _, err := h.app.Document(t.Context())
	h.ok(err)
	doc := before.Clone()
	doc.Devices[0].Attributes["queue_depth"] = "32"
	delete(doc.Targets[0].Attributes, "login_timeout")
	doc.Targets[0].Groups[0].Attributes["dataout_timeout"] = "10"
	p, err := h.app.PlanChange(t.Context(), appliance.Change{Document: doc})
	h.ok(err)
	var said []string
	for _, s := range p.Steps {
		line := s.Sentence
		for _, c := range s.Changes {
			line += "; " + c.String()
		}
		said = append(said, line)
		if s.Destroys != "" || s.Disrupts != "" {
			t.Errorf("%s: destroys %q, disrupts %q", s.Sentence, s.Destroys, s.Disrupts)
		}
	}
	if diff := cmp.Diff([]string{
		"Change device d0; attributes[queue_depth]: 64 -> 32",
		"Change target " + diskIQN + "; attributes[login_timeout]: 20 -> (default)",
		"Change attributes of host group hosts of target " + diskIQN + "; attributes[dataout_timeout]: 9 -> 10",
	}, said); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"write core/fileio_0/d0/attrib/queue_depth 32",
		"write " + portals1 + "/attrib/login_timeout 15",
		"write " + portals1 + "/acls/" + alice + "/attrib/dataout_timeout 10",
	}, h.apply(appliance.Change{Document: doc})); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if d := h.drift(); len(d) > 0 {
		t.Errorf("it differs: %q", d)
	}
}

// TestDriftOfLIO has somebody change the kernel by hand. Each change is shown,
// is left by the next daemon and by a change of something else, can be undone,
// and can be adopted, which asks the kernel for nothing and leaves no
// difference.
func TestDriftOfLIO(t *testing.T) {
	acl := portals1 + "/acls/" + alice
	lun := "lun/" + diskIQN + "/hosts/"
	for name, c := range map[string]struct {
		change   func(h *hand)
		want     []string
		restored bool   // it is put in place by the next daemon: it was not there at all
		stays    bool   // revert leaves it until it is named
		refused  string // why it cannot be adopted
	}{
		"a setting":                {change: func(h *hand) { h.write(portals1+"/param/MaxBurstLength", "65536") }, want: []string{"changed target/" + diskIQN + "; parameters.max_burst_length: (default) -> 65536"}},
		"an alias":                 {change: func(h *hand) { h.write(portals1+"/param/TargetAlias", "mine") }, want: []string{"changed target/" + diskIQN + "; alias: (default) -> mine"}},
		"an attribute of a device": {change: func(h *hand) { h.write("core/fileio_0/d0/attrib/queue_depth", "16") }, want: []string{"changed device/d0; attributes[queue_depth]: 64 -> 16"}},
		"an attribute of a target": {change: func(h *hand) { h.write(portals1+"/attrib/login_timeout", "25") }, want: []string{"changed target/" + diskIQN + "; attributes[login_timeout]: 20 -> 25"}},
		"an attribute of a group":  {change: func(h *hand) { h.write(acl+"/attrib/dataout_timeout", "12") }, want: []string{"changed group/" + diskIQN + "/hosts; attributes[dataout_timeout]: 9 -> 12"}},
		"disabled":                 {change: func(h *hand) { h.write(portals1+"/enable", "0") }, want: []string{"changed target/" + diskIQN + "; disabled: (default) -> true"}},
		"writable":                 {change: func(h *hand) { h.write(acl+"/lun_1/write_protect", "0") }, want: []string{"changed " + lun + "1; read_only: true -> (default)"}},
		"ALUA state":               {change: func(h *hand) { h.write("core/fileio_0/d0/alua/dg:tg/alua_access_state", "2") }, want: []string{"changed device-group/dg; target_groups[tg].state: nonoptimized -> standby"}},
		"preferred":                {change: func(h *hand) { h.write("core/fileio_0/d0/alua/dg:tg/preferred", "1") }, want: []string{"changed device-group/dg; target_groups[tg].preferred: (default) -> true"}},
		"a portal":                 {change: func(h *hand) { h.mkdir(portals1 + "/np/127.0.0.9:3260") }, want: []string{"added portal/127.0.0.9-3260"}},
		"a LUN less":               {change: func(h *hand) { h.ok(h.kernel.Remove(acl + "/lun_1/d1")); h.ok(h.kernel.Rmdir(acl + "/lun_1")) }, want: []string{"missing " + lun + "1"}, restored: true},
		"a LUN more":               {change: func(h *hand) { h.mkdir(acl + "/lun_7"); h.link(h.lunOf("d1"), acl+"/lun_7/d1") }, want: []string{"added " + lun + "7"}},
		"an initiator":             {change: func(h *hand) { h.addBob() }, want: []string{"added group/" + diskIQN + "/" + strings.ReplaceAll(bob, ":", "-")}},
		"a secret":                 {change: func(h *hand) { h.write(acl+"/auth/password", "another-secret-of-alice") }, want: []string{"changed target/" + diskIQN + "; auth.users[host].secret: changed"}},
		"no password":              {change: func(h *hand) { h.write(portals1+"/attrib/authentication", "0") }, want: []string{"changed target/" + diskIQN + "; auth.users[host]: host -> (default); auth.users[host].name: host -> (default); auth.users[host].secret: (secret) -> (default)"}},
		"a disk":                   {change: func(h *hand) { h.addDisk("core/rd_mcp_7/foreign") }, want: []string{"added device/foreign"}, stays: true},
		"a target":                 {change: func(h *hand) { h.addTarget() }, want: []string{"added target/iqn.2026-11.com.example:foreign"}, stays: true, refused: "no word for"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, way := range []string{"revert", "revert by name", "apply", "adopt", "adopt by name"} {
				h := newHand(t)
				c.change(h)
				got := h.drift()
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Fatalf("drift (-want +got):\n%s", diff)
				}
				h.restart(c.restored)
				if c.restored {
					c.change(h)
				}
				h.otherChange(c.restored)
				if c.restored {
					c.change(h)
				}
				_, object, _ := strings.Cut(strings.SplitN(c.want[0], ";", 2)[0], " ")
				change := appliance.Change{Who: "test"}
				if strings.HasSuffix(way, "by name") {
					change.Objects = []string{object}
				}
				if change.Adopt = strings.HasPrefix(way, "adopt"); change.Adopt {
					h.adopt(change, c.refused)
					continue
				}
				change.Revert = way != "apply"
				if way == "apply" {
					change.Document, _, _ = h.app.Document(t.Context())
				}
				if c.stays {
					h.apply(change)
					if left := h.drift(); len(left) != 1 {
						t.Fatalf("%s: it is somebody else's and was not named: %q", way, left)
					}
					change.Destroy = []string{object}
				}
				h.apply(change)
				if left := h.drift(); len(left) > 0 {
					t.Errorf("%s: still there: %q", way, left)
				}
			}
		})
	}
}

// addBob lets another initiator in, as targetcli does.
func (h *hand) addBob() {
	acl := portals1 + "/acls/" + bob
	h.mkdir(acl)
	h.mkdir(acl + "/lun_0")
	h.link(h.lunOf("d0"), acl+"/lun_0/d0")
	h.write(acl+"/auth/userid", "host")
	h.write(acl+"/auth/password", "twelve-bytes-and-more")
}

func (h *hand) addDisk(at string) {
	h.mkdir(filepath.Dir(at))
	h.mkdir(at)
	h.write(at+"/control", "rd_pages=256")
	h.write(at+"/enable", "1")
	h.write(at+"/wwn/vpd_unit_serial", "0123456789abcdef")
}

func (h *hand) addTarget() {
	tpg := "iscsi/iqn.2026-11.com.example:foreign/tpgt_1"
	h.mkdir(filepath.Dir(tpg))
	h.mkdir(tpg)
	h.mkdir(tpg + "/np/127.0.0.8:3260")
	h.mkdir(tpg + "/lun/lun_0")
	h.link("core/fileio_0/d0", tpg+"/lun/lun_0/d0")
	h.mkdir(tpg + "/acls/" + bob)
	h.write(tpg+"/enable", "1")
}

// restart is the next daemon, which leaves what is there.
func (h *hand) restart(restored bool) {
	h.Helper()
	before := h.kernel.Dump()
	h.ok(h.app.Close())
	h.begin()
	if restored {
		if left := h.drift(); len(left) > 0 {
			h.Errorf("not put in place: %q", left)
		}
		return
	}
	if diff := cmp.Diff(before, h.kernel.Dump()); diff != "" {
		h.Errorf("the next daemon changed what somebody did by hand:\n%s", diff)
	}
}

// otherChange is a change of something else, which shows the drift apart.
func (h *hand) otherChange(restored bool) {
	h.Helper()
	edit := func(d *config.Document) error {
		d.Devices = append(d.Devices, config.Device{Name: "n" + string(rune('0'+len(d.Devices))), Handler: config.NullIO, Size: 1 << 20})
		return nil
	}
	p, err := h.app.PlanChange(h.Context(), appliance.Change{Edit: edit})
	h.ok(err)
	if text := p.Text(nil); len(p.Drift) != 1 || !strings.Contains(text, "changed by hand, not by esos:\n") {
		h.Errorf("the plan of another change:\n%s", text)
	}
	if len(p.Steps) != 1 && !restored {
		h.Errorf("another change does more:\n%s", p.Text(nil))
	}
	want := h.drift()
	if restored {
		want = nil
	}
	h.apply(appliance.Change{Edit: edit})
	if diff := cmp.Diff(want, h.drift()); diff != "" {
		h.Errorf("after another change (-want +got):\n%s", diff)
	}
}

func (h *hand) adopt(c appliance.Change, refused string) {
	h.Helper()
	if refused != "" {
		_, err := h.app.Apply(h.Context(), c)
		if err == nil || !strings.Contains(err.Error(), refused) {
			h.Errorf("adopted: %v", err)
		}
		var why *appliance.AdoptError
		if !errors.As(err, &why) {
			h.Errorf("%T: %v", err, err)
		}
		return
	}
	p, err := h.app.PlanChange(h.Context(), c)
	h.ok(err)
	if text := p.Text(nil); len(p.Steps) > 0 || !strings.Contains(text, "written into the document") || strings.Contains(text, "another-secret") {
		h.Errorf("plan of the adoption:\n%s", text)
	}
	before := h.kernel.Dump()
	if asked := h.apply(c); len(asked) > 0 || h.kernel.Dump() != before {
		h.Errorf("the kernel was asked for %q", asked)
	}
	if left := h.drift(); len(left) > 0 {
		h.Errorf("adopted, and it differs: %q", left)
	}
	doc, _, err := h.app.Document(h.Context())
	h.ok(err)
	p, err = h.app.Plan(h.Context(), doc)
	h.ok(err)
	if p.Text(nil) != "no changes\n" {
		h.Errorf("the plan after it:\n%s", p.Text(nil))
	}
	h.restart(false)
	all, err := h.app.Revisions(h.Context())
	h.ok(err)
	if all[0].Who != "test" {
		h.Errorf("history: %+v", all[0])
	}
}

// TestGrowThroughLIO makes the document's size larger: one change grows the
// file and has the kernel serve it whole, asks it for nothing else, and says
// that the initiators have to look themselves.
func TestGrowThroughLIO(t *testing.T) {
	h := newHand(t)
	grow := func(d *config.Document) error {
		d.Devices[0].Size = 3 << 20
		return nil
	}
	p, err := h.app.PlanChange(t.Context(), appliance.Change{Edit: grow})
	h.ok(err)
	if text := p.Text(nil); len(p.Steps) != 2 || !strings.Contains(text, "Grow device d0 from 1 MiB to 3 MiB") || !strings.Contains(text, "note: device/d0: initiators are not told") {
		t.Errorf("plan:\n%s", text)
	}
	asked := h.apply(appliance.Change{Edit: grow})
	if len(asked) != 1 || !strings.Contains(asked[0], "fd_dev_size=3145728") {
		t.Errorf("the kernel was asked for %q", asked)
	}
	if fi, err := os.Stat(filepath.Join(h.dir, "devices", "d0.img")); err != nil || fi.Size() != 3<<20 {
		t.Errorf("the file: %v, %v", fi, err)
	}
	if info, err := h.kernel.ReadFile("core/fileio_0/d0/info"); err != nil || !strings.Contains(info, "Size: 3145728") {
		t.Errorf("the kernel serves %q, %v", info, err)
	}
	if left := h.drift(); len(left) > 0 {
		t.Errorf("after it: %q", left)
	}
}

// TestMemoryDoesNotGrowThroughLIO: the plan says so, before anything is touched.
func TestMemoryDoesNotGrowThroughLIO(t *testing.T) {
	h := newHand(t)
	size := func(n config.Size) appliance.Change {
		return appliance.Change{Who: "test", Edit: func(d *config.Document) error {
			d.Devices = append(d.Devices[:2], config.Device{Name: "ram", Handler: config.Memory, Size: n})
			return nil
		}}
	}
	h.apply(size(1 << 20))
	var refused *appliance.RefusedError
	if _, err := h.app.Apply(t.Context(), size(2<<20)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot grow a memory disk") {
		t.Errorf("a memory disk of twice the size: %v", err)
	}
}

// TestStartIsCutOffAnywhere kills the daemon at each request that it makes of
// the kernel after a boot: the next one serves all that is declared, and takes
// nothing half done for the work of somebody's hand.
func TestStartIsCutOffAnywhere(t *testing.T) {
	h := newHand(t)
	want := h.kernel.Dump()
	boot := func() {
		h.ok(h.app.Close())
		h.kernel = liofake.New(liofake.Options{RTPI: true})
		h.ok(os.RemoveAll(filepath.Join(h.dir, "run")))
	}
	boot()
	h.begin()
	all := len(h.kernel.Requests())
	if diff := cmp.Diff(want, h.kernel.Dump()); diff != "" || all < 50 {
		t.Fatalf("a boot (%d requests):\n%s", all, diff)
	}
	for n := range all {
		boot()
		h.kernel.FailAfter(n)
		h.begin()
		h.ok(h.app.Close())
		h.kernel.FailAfter(-1)
		h.begin()
		if left := h.drift(); len(left) > 0 {
			t.Fatalf("cut off at request %d, it takes for drift: %q", n, left)
		}
		if diff := cmp.Diff(want, h.kernel.Dump()); diff != "" {
			t.Fatalf("cut off at request %d (-want +got):\n%s", n, diff)
		}
	}
}
