package multipathd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answered is in the words of libmultipath/print.c (0.11.1): two paths to a
// disk of LIO's, one of which is gone.
const answered = `{
   "major_version": 0,
   "minor_version": 1,
   "maps": [{
      "name" : "mail",
      "uuid" : "36001405a1b2c3d4e5f60718293a4b5c6",
      "sysfs" : "dm-3",
      "failback" : "immediate",
      "queueing" : "12 chk",
      "paths" : 2,
      "write_prot" : "rw",
      "dm_st" : "active",
      "features" : "0",
      "hwhandler" : "1 alua",
      "action" : "",
      "path_faults" : 1,
      "vend" : "LIO-ORG",
      "prod" : "mail",
      "rev" : "4.0",
      "switch_grp" : 0,
      "map_loads" : 2,
      "total_q_time" : 0,
      "q_timeouts" : 0,
      "path_groups": [{
         "selector" : "service-time 0",
         "pri" : 50,
         "dm_st" : "active",
         "marginal_st" : "normal",
         "group" : 1,
         "paths": [{
            "dev" : "sdc",
            "dev_t" : "8:32",
            "dm_st" : "active",
            "dev_st" : "running",
            "chk_st" : "ready",
            "checker" : "tur",
            "pri" : 50,
            "host_wwnn" : "[undef]",
            "target_wwnn" : "iqn.2026-11.com.example:array2",
            "host_wwpn" : "[undef]",
            "target_wwpn" : "[undef]",
            "host_adapter" : "10.0.0.1",
            "lun_hex" : "0x0000000000000000",
            "marginal_st" : "normal"
         },{
            "dev" : "sdb",
            "dev_t" : "8:16",
            "dm_st" : "failed",
            "dev_st" : "running",
            "chk_st" : "faulty",
            "checker" : "tur",
            "pri" : 50,
            "host_wwnn" : "[undef]",
            "target_wwnn" : "[undef]",
            "host_wwpn" : "[undef]",
            "target_wwpn" : "[undef]",
            "host_adapter" : "[undef]",
            "lun_hex" : "0x0000000000000000",
            "marginal_st" : "normal"
         }]
      }]
   }]
}
`

func TestParse(t *testing.T) {
	got, err := parse([]byte(answered))
	if err != nil {
		t.Fatal(err)
	}
	want := []Map{{Name: "mail", WWID: "36001405a1b2c3d4e5f60718293a4b5c6", DM: "dm-3", Queueing: "12 chk", Paths: []Path{
		{Disk: "sdb", State: "faulty", Device: "running", Kernel: "failed"},
		{Disk: "sdc", State: "ready", Device: "running", Kernel: "active", Through: "iqn.2026-11.com.example:array2"},
	}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got[0].Paths[0].Works() || !got[0].Paths[1].Works() {
		t.Error("which path works")
	}
	if none, err := parse([]byte("{\n   \"major_version\": 0,\n   \"minor_version\": 1,\n   \"maps\": []\n}\n")); err != nil || none != nil {
		t.Errorf("no maps: %v, %v", none, err)
	}
	for _, text := range []string{"", "timeout\n", "fail\n", `{"major_version": 1}`, `{"maps": 3}`} {
		if got, err := parse([]byte(text)); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWorks(t *testing.T) {
	for _, c := range []struct {
		p    Path
		want bool
	}{
		{Path{State: "ready", Kernel: "active", Device: "running"}, true},
		{Path{State: "ghost", Kernel: "active", Device: "running"}, true},
		{Path{State: "ready", Kernel: "active", Device: "offline"}, false},
		{Path{State: "ready", Kernel: "failed", Device: "running"}, false},
		{Path{State: "i/o timeout", Kernel: "active", Device: "running"}, false},
		{Path{State: "undef", Kernel: "undef", Device: "running"}, false},
	} {
		if c.p.Works() != c.want {
			t.Errorf("%+v", c.p)
		}
	}
}

// TestConf holds the configuration to what multipath 0.11.1 shows of it with
// -t: it took every line of it.
func TestConf(t *testing.T) {
	c := Conf{Policy: "queue-length", Maps: []Named{{"n.1", "eui.0025388b710116a1"}, {"db", "3600140512345678"}}}
	want := heading + `
defaults {
	find_multipaths off
	user_friendly_names no
	polling_interval 5
	skip_kpartx yes
}
overrides {
	no_path_retry 12
	path_selector "queue-length 0"
}
blacklist {
	wwid ".*"
}
blacklist_exceptions {
	property ".*"
	wwid "^3600140512345678$"
	wwid "^eui\.0025388b710116a1$"
}
multipaths {
	multipath {
		wwid "3600140512345678"
		alias "db"
	}
	multipath {
		wwid "eui.0025388b710116a1"
		alias "n.1"
	}
}
`
	if d := cmp.Diff(want, c.Text()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]Named{{"db", "3600140512345678"}, {"n.1", "eui.0025388b710116a1"}}, Parse(c.Text())); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	if strings.Contains((Conf{}).Text(), "path_selector") {
		t.Error("without a policy the vendor's is overridden")
	}
	if Parse("multipaths {\n\tmultipath {\n\t\twwid x\n\t\talias y\n\t}\n}\n") != nil || Ours("") {
		t.Error("somebody else's file is taken for ours")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(answered))
	f.Add([]byte("timeout\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		maps, err := parse(text)
		if err != nil && maps != nil {
			t.Errorf("%v with %v", maps, err)
		}
		if !slices.IsSortedFunc(maps, func(a, b Map) int { return strings.Compare(a.Name, b.Name) }) {
			t.Error("not in order")
		}
	})
}

func FuzzConf(f *testing.F) {
	f.Add(heading + "\nmultipaths {\n\tmultipath {\n\t\twwid \"1\"\n\t\talias \"a\"\n\t}\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if maps := Parse(text); maps != nil && !Ours(text) {
			t.Errorf("%q: %v", text, maps)
		}
	})
}
