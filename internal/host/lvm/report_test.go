package lvm

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host"
)

var update = flag.Bool("update", false, "write golden files anew")

// The reports are of Debian 13's LVM in a VM: a RAID 6 as the one device, a
// thin pool with two volumes, a VDO and plain volumes; then with a snapshot.
func TestParse(t *testing.T) {
	for _, name := range []string{"fullreport", "fullreport-snapshot"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(s, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		file := "testdata/" + name + ".golden"
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// What plans stand on, by itself.
func TestParsed(t *testing.T) {
	text, err := os.ReadFile("testdata/fullreport.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	g, ok := s.Group("vg0")
	if !ok || g.Extent != 4<<20 || len(g.Devices) != 1 || g.Devices[0].Path != "/dev/md127" || !Has(g.Tags, "esos=01234567-89ab-8def-8123-456789abcdef") {
		t.Fatalf("%+v", g)
	}
	pool, _ := g.Volume("pool")
	if pool.Type != "thin-pool" || pool.Chunk != 64<<10 || pool.MetadataSize != 4<<20 || pool.Data == nil || pool.Metadata == nil || *pool.Metadata != 11.43 || pool.WhenFull != "queue" {
		t.Errorf("%+v", pool)
	}
	thin, _ := g.Volume("db01")
	if thin.Type != "thin" || thin.Pool != "pool" || !thin.Active || thin.Size != 8<<30 || thin.Hidden {
		t.Errorf("%+v", thin)
	}
	part, _ := g.Volume("pool_tdata")
	if !part.Hidden || part.Type != "linear" || !slices.Equal(part.Devices, []string{"/dev/md127"}) {
		t.Errorf("%+v", part)
	}
	vdo, _ := g.Volume("backup_vdopool")
	if vdo.Type != "vdo-pool" || !vdo.Compression || !vdo.Deduplication || vdo.Data == nil || *vdo.Data != 60.03 || vdo.Active || vdo.Suspended || vdo.Used != 3222675456 {
		t.Errorf("%+v", vdo)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"fullreport", "fullreport-snapshot"} {
		if text, err := os.ReadFile("testdata/" + name + ".json"); err == nil {
			f.Add(text)
		}
	}
	f.Add([]byte(`{"report":[{"pv":[{"pv_name":"[unknown]","pv_missing":"missing"}]},{"vg":[{"vg_name":"a"}],"lv":[{"lv_uuid":"","lv_name":"["}],"seg":[{"lv_uuid":"","devices":"(,("}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parse(text)
		if err != nil {
			return
		}
		for _, g := range s.Groups {
			if g.Missing < 0 || g.Free < 0 || g.Extent < 0 {
				t.Fatalf("%+v", g)
			}
			for _, v := range g.Volumes {
				if v.Size < 0 || v.Stripes < 0 || strings.HasPrefix(v.Name, "[") && !strings.HasPrefix(v.Name, "[[") && !v.Hidden {
					t.Fatalf("%+v", v)
				}
			}
		}
		if _, err := json.Marshal(s); err != nil {
			t.Fatal(err)
		}
	})
}

// asked is a machine that remembers what it was called with.
type asked struct {
	calls []host.Call
	err   error
}

func (a *asked) Output(_ context.Context, c host.Call) ([]byte, error) {
	a.calls = append(a.calls, c)
	return []byte(`{"report":[]}`), a.err
}

// TestArguments holds what keeps LVM from doing more than it was asked for.
func TestArguments(t *testing.T) {
	for _, c := range []struct {
		name string
		tool Tool
		do   func(t Tool) error
		want string
	}{
		{"read", Tool{}, func(t Tool) error { _, err := t.Read(context.Background()); return err },
			"lvm fullreport --config devices/scan_lvs=0 activation/monitoring=0 activation/error_when_full=1 backup/backup=0 backup/archive=0 --devicesfile  --reportformat json"},
		{"backups", Tool{Backups: "/data/lvm"}, func(t Tool) error { return t.Grow(context.Background(), "/dev/sda") },
			`lvm pvresize --config devices/scan_lvs=0 activation/monitoring=0 activation/error_when_full=1 backup/backup_dir="/data/lvm/backup" backup/archive_dir="/data/lvm/archive" backup/retain_min=10 backup/retain_days=0 --devicesfile  /dev/sda`},
		{"only", Tool{Only: []string{"/dev/sda", "/dev/sdb"}}, func(t Tool) error { return t.Activate(context.Background(), "vg0", "a", "b") },
			"lvm lvchange --config devices/scan_lvs=0 activation/monitoring=0 activation/error_when_full=1 backup/backup=0 backup/archive=0 --devices /dev/sda --devices /dev/sdb --activate y --ignoreactivationskip --activationmode degraded vg0/a vg0/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &asked{}
			c.tool.Machine = m
			if err := c.do(c.tool); err != nil {
				t.Fatal(err)
			}
			if got := m.calls[0].String(); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestConfirmations: LVM gets an answer only where nothing that is anybody's
// can be lost, and where whoever calls has consent.
func TestConfirmations(t *testing.T) {
	ctx := context.Background()
	answered := map[string]bool{"CreateVolume linear": true, "CreateVolume thin-pool": true, "CreateVolume vdo": true, "Reduce": true, "Attach": true, "Repair": true}
	for name, do := range map[string]func(t Tool) error{
		"CreateGroup":         func(t Tool) error { return t.CreateGroup(ctx, "vg0", 4<<20, "x", []string{"/dev/sda"}) },
		"RemoveGroup":         func(t Tool) error { return t.RemoveGroup(ctx, "vg0") },
		"RemoveDevices":       func(t Tool) error { return t.RemoveDevices(ctx, []string{"/dev/sda"}) },
		"ExtendGroup":         func(t Tool) error { return t.ExtendGroup(ctx, "vg0", []string{"/dev/sda"}) },
		"ReduceGroup":         func(t Tool) error { return t.ReduceGroup(ctx, "vg0", "/dev/sda") },
		"ForgetMissing":       func(t Tool) error { return t.ForgetMissing(ctx, "vg0") },
		"Grow":                func(t Tool) error { return t.Grow(ctx, "/dev/sda") },
		"Move":                func(t Tool) error { return t.Move(ctx, "vg0", "/dev/sda", nil, func(float64) {}) },
		"CreateVolume linear": func(t Tool) error { return t.CreateVolume(ctx, New{Group: "vg0", Name: "a", Type: "linear", Size: 1}) },
		"CreateVolume thin-pool": func(t Tool) error {
			return t.CreateVolume(ctx, New{Group: "vg0", Name: "a", Type: "thin-pool", Size: 1})
		},
		"CreateVolume vdo":      func(t Tool) error { return t.CreateVolume(ctx, New{Group: "vg0", Name: "a", Type: "vdo", Size: 1}) },
		"CreateVolume thin":     func(t Tool) error { return t.CreateVolume(ctx, New{Group: "vg0", Name: "a", Type: "thin", Size: 1}) },
		"CreateVolume snapshot": func(t Tool) error { return t.CreateVolume(ctx, New{Group: "vg0", Name: "a", Type: "snapshot"}) },
		"RemoveVolume":          func(t Tool) error { return t.RemoveVolume(ctx, "vg0", "a") },
		"Activate":              func(t Tool) error { return t.Activate(ctx, "vg0", "a") },
		"Extend":                func(t Tool) error { return t.Extend(ctx, "vg0", "a", 1, nil) },
		"Reduce":                func(t Tool) error { return t.Reduce(ctx, "vg0", "a", 1) },
		"Rename":                func(t Tool) error { return t.Rename(ctx, "vg0", "a", "b") },
		"Attach":                func(t Tool) error { return t.Attach(ctx, "vg0", "a", "b", "cache", "writethrough", 512) },
		"Detach":                func(t Tool) error { return t.Detach(ctx, "vg0", "a") },
		"Repair":                func(t Tool) error { return t.Repair(ctx, "vg0", "a") },
	} {
		m := &asked{}
		if err := do(Tool{Machine: m}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, c := range m.calls {
			yes := slices.ContainsFunc(c.Args, func(a string) bool { return a == "--yes" || a == "-y" || strings.HasPrefix(a, "-f") || a == "--force" })
			if yes != answered[name] || c.Input != "" {
				t.Errorf("%s: answered=%t input=%q: %s", name, yes, c.Input, c)
			}
		}
	}
}

func TestConcise(t *testing.T) {
	m := &asked{err: &host.ExitError{Name: "lvm", Code: 5, Said: "WARNING: Sum of all thin volume sizes (8.00 GiB) exceeds\n  WARNING: You have not turned on protection against thin pools\n  Volume group \"x\" not found\n  Cannot process volume group x"}}
	err := Tool{Machine: m}.Rename(t.Context(), "x", "a", "b")
	if want := `lvm: Volume group "x" not found; Cannot process volume group x`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestMapped(t *testing.T) {
	if got := Mapped("vg-0", "a-b"); got != "vg--0-a--b" {
		t.Error(got)
	}
}

func TestUnmapped(t *testing.T) {
	for _, x := range [][2]string{{"vg0", "images"}, {"vg-0", "a-b"}, {"a-", "b"}, {"a--b", "c--d"}} {
		if group, volume, ok := Unmapped(Mapped(x[0], x[1])); group != x[0] || volume != x[1] || !ok {
			t.Errorf("%q: %q, %q, %t", x, group, volume, ok)
		}
	}
	for _, name := range []string{"vault", "mail--box", "-x", ""} {
		if _, _, ok := Unmapped(name); ok {
			t.Errorf("%s is no volume's", name)
		}
	}
}

// TestColumns: each column that is asked for is one of the subreport that it is
// asked of, in the report that has all of them.
func TestColumns(t *testing.T) {
	text, err := os.ReadFile("testdata/fullreport.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Report []map[string][]row `json:"report"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	for sub, columns := range map[string]string{"vg": groupColumns, "pv": deviceColumns, "lv": volumeColumns, "seg": segmentColumns, "pvseg": "pvseg_start"} {
		for _, c := range strings.Split(columns, ",") {
			if _, ok := list.Report[0][sub][0][c]; !ok {
				t.Errorf("LVM's %s report has no column %s", sub, c)
			}
		}
	}
}
