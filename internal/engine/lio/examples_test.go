package lio

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// TestExamples: an example that names no engine is served by LIO as well as by
// the native engine; one that names native is not, or it need not say so.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples: %q, %v", files, err)
	}
	served := 0
	for _, file := range files {
		d, _, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := config.Complete(d, nil); err != nil {
			t.Fatal(err)
		}
		errs := Supports(d)
		switch {
		case d.Engine == "" && len(errs) > 0:
			t.Errorf("%s names no engine, but LIO refuses it: %v", file, errs)
		case d.Engine == "lio" && len(errs) > 0:
			t.Errorf("%s is for LIO, which refuses it: %v", file, errs)
		case d.Engine == "native" && len(errs) == 0:
			t.Errorf("%s is for the native engine only, but LIO would serve it", file)
		case d.Engine == "" && len(d.Targets) > 0:
			served++
		}
		for _, err := range errs {
			if !strings.Contains(err.Error(), "native") && !strings.Contains(err.Error(), "scst") && !strings.Contains(err.Error(), "write it as naa") {
				t.Errorf("%s: the refusal names no engine that can: %v", file, err)
			}
		}
	}
	if served < 3 {
		t.Errorf("only %d examples with targets are for every engine", served)
	}
}

// TestServeExamples: what an example for LIO declares is what is then served.
func TestServeExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		d, _, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if d.Engine != "lio" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			if err := config.Complete(d, nil); err != nil {
				t.Fatal(err)
			}
			b := newBench(t, liofake.Options{
				RTPI: true, RDMA: []string{"10.0.0.10"}, SCSI: map[string]int{"3:0:0:0": 1, "3:0:0:1": 8},
				Ports: []string{gidIn, wwpn, "50:01:43:80:24:26:bb:b6"},
			})
			b.opt.Load = b.kernel.Load
			b.opt.SCSI = scsi{tape: {Address: "3:0:0:0", Type: 1, Node: "/dev/sg1"}, "/dev/sg2": {Address: "3:0:0:1", Type: 8, Node: "/dev/sg2"}}
			b.start()
			b.declare(d)
			s, err := b.Observe(b.Context())
			b.ok(err)
			for i := range d.Targets {
				d.Targets[i] = d.Targets[i].WithDefaults()
			}
			for i := range d.ISCSI.Portals {
				d.ISCSI.Portals[i] = d.ISCSI.Portals[i].WithDefaults()
			}
			if diff := cmp.Diff(d.Targets, s.Targets); diff != "" {
				t.Errorf("targets (-declared +served):\n%s", diff)
			}
			if diff := cmp.Diff(d.ISCSI.Portals, s.ISCSI.Portals); diff != "" {
				t.Errorf("portals (-declared +served):\n%s", diff)
			}
			for i := range d.Devices {
				want := d.Devices[i].WithDefaults()
				if at := slices.IndexFunc(s.Devices, func(h config.Device) bool { return h.Name == want.Name }); at < 0 || !reflect.DeepEqual(s.Devices[at], want) {
					t.Errorf("device %s is not served as declared: %+v", want.Name, s.Devices)
				}
			}
		})
	}
}

// declare puts a document's objects in the order in which layers do.
func (b *bench) declare(d *config.Document) {
	b.Helper()
	ctx := b.Context()
	for _, dev := range d.Devices {
		if dev.Handler == config.FileIO {
			at := filepath.Join(b.opt.DataDir, dev.Path)
			b.ok(os.MkdirAll(filepath.Dir(at), 0o700))
			b.ok(os.WriteFile(at, nil, 0o600))
			b.ok(os.Truncate(at, int64(dev.Size)))
		}
		b.ok(b.PutDevice(ctx, dev))
	}
	for _, p := range d.ISCSI.Portals {
		b.ok(b.PutPortal(ctx, p))
	}
	for _, t := range d.Targets {
		closed := own(t)
		closed.Disabled = true
		b.ok(b.PutTarget(ctx, closed))
		for _, l := range t.LUNs {
			b.ok(b.PutLUN(ctx, t.Name, "", l))
		}
		for _, g := range t.Groups {
			b.ok(b.PutGroup(ctx, t.Name, g))
			for _, l := range g.LUNs {
				b.ok(b.PutLUN(ctx, t.Name, g.Name, l))
			}
		}
		b.ok(b.PutTarget(ctx, own(t)))
	}
}

// TestSupportsSaysWhy goes through what LIO refuses.
func TestSupportsSaysWhy(t *testing.T) {
	fine := func() *config.Document {
		d := &config.Document{
			Version: 1, Name: "a", ID: "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
			Devices: []config.Device{{Name: "d", Handler: config.FileIO, Size: 1 << 20}, {Name: "b", Handler: config.BlockIO, Path: "/dev/b"}, {Name: "n", Handler: config.NullIO, Size: 1 << 20}},
			ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p", Address: ":3260"}}},
			Targets: []config.Target{
				{Name: "iqn.2026-11.org.example:named", Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}},
					Groups: []config.Group{{Name: "g", Initiators: []string{alice}, LUNs: []config.LUN{{LUN: 0, Device: "d"}}}}},
				{Name: "iqn.2026-11.org.example:all", LUNs: []config.LUN{{LUN: 0, Device: "b"}, {LUN: 1, Device: "n"}}},
			},
		}
		if err := config.Complete(d, nil); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if errs := Supports(fine()); errs != nil {
		t.Fatalf("what LIO can do is refused: %v", errs)
	}
	for why, change := range map[string]func(d *config.Document){
		"no handler":                func(d *config.Document) { d.Devices[0].Handler = config.CDROM },
		"removable":                 func(d *config.Document) { d.Devices[0].Removable = true },
		"no read-only vdisk_fileio": func(d *config.Document) { d.Devices[0].ReadOnly = true },
		"write cache":               func(d *config.Document) { d.Devices[1].WriteThrough = true },
		"NAA identifier":            func(d *config.Document) { d.Devices[0].Identity.NAA = "3000000000000001" },
		"multiple of 4096":          func(d *config.Document) { d.Devices[2].Size = 512 },
		"8 TiB":                     func(d *config.Document) { d.Devices[2].Size = 8 << 40 },
		"longer than 255":           func(d *config.Document) { d.Devices[0].Path = strings.Repeat("x", 256) },
		"announce":                  func(d *config.Document) { d.ISCSI.Portals[0].Announce = "192.0.2.1:3260" },
		"port picked":               func(d *config.Document) { d.ISCSI.Portals[0].Address = "127.0.0.1:0" },
		"for discovery": func(d *config.Document) {
			d.ISCSI.Discovery.Users = []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}, {Name: "v", Secret: "twelve-bytes-and-more"}}
		},
		"CHAP algorithm": func(d *config.Document) { d.Targets[0].Auth.Algorithms = []string{"SHA256"} },
		"one name and secret of each initiator": func(d *config.Document) {
			d.Targets[0].Auth.Users = append(d.Targets[0].Auth.Users, config.CHAPUser{Name: "v", Secret: "twelve-bytes-and-more"})
		},
		"to the pattern":        func(d *config.Document) { d.Targets[0].Auth.Users[0].Initiators = []string{"iqn.*"} },
		"no patterns":           func(d *config.Document) { d.Targets[0].Groups[0].Initiators = []string{"iqn.*"} },
		"cannot except":         func(d *config.Document) { d.Targets[0].Groups[0].Initiators = []string{"!" + alice} },
		"not both":              func(d *config.Document) { d.Targets[0].Groups[0].Initiators = []string{"*", alice} },
		"does not know by name": func(d *config.Document) { d.Targets[0].Groups[0].Initiators = []string{"*"} },
		"all LUNs of a target": func(d *config.Document) {
			d.Targets[1].Groups = []config.Group{{Name: "g", Initiators: []string{alice}, LUNs: []config.LUN{{LUN: 0, Device: "d"}}}}
		},
		"nobody is left":       func(d *config.Document) { d.Targets[1].Groups = []config.Group{{Name: "g", Initiators: []string{"*"}}} },
		"all read-only":        func(d *config.Document) { d.Targets[1].LUNs[0].ReadOnly = true },
		"another address":      func(d *config.Document) { d.Targets[0].Redirect = "192.0.2.1:3260" },
		"no comma in an alias": func(d *config.Document) { d.Targets[0].Alias = "a, b" },
		"number of sessions":   func(d *config.Document) { d.Targets[0].Parameters.MaxSessions = 1 },
		"512 commands":         func(d *config.Document) { d.Targets[0].Parameters.QueuedCommands = 513 },
		"nop_in_interval":      func(d *config.Document) { d.Targets[0].Parameters.NopInInterval = 61 },
		"nop_in_timeout":       func(d *config.Document) { d.Targets[0].Parameters.NopInTimeout = 2 },
		"no handler \"dev_raid\"": func(d *config.Document) {
			d.Devices[1] = config.Device{Name: "b", Handler: config.PassRAID, Path: "1:0:0:0"}
		},
		"names like naa.": func(d *config.Document) { d.Targets = []config.Target{{Name: "here", Driver: config.DriverLocal}} },
		"no host groups there": func(d *config.Document) {
			d.Targets[0] = config.Target{Name: local, Driver: config.DriverLocal, Groups: []config.Group{{Name: "g", Initiators: []string{"x"}}}}
		},
		"show this machine a LUN read-only": func(d *config.Document) {
			d.Targets[1].Name, d.Targets[1].Driver, d.Targets[1].LUNs[0].ReadOnly = local, config.DriverLocal, true
		},
		"nobody would see": func(d *config.Document) { d.Targets[1].Name, d.Targets[1].Driver = gid, config.DriverSRP },
		"lets no initiator in over FCoE": func(d *config.Document) {
			d.Targets[0] = config.Target{Name: wwpn, Driver: config.DriverFCoE, Groups: []config.Group{{Name: "g", Initiators: []string{"*"}}}}
		},
		"cannot disable a target of FCoE": func(d *config.Document) {
			d.Targets[0] = config.Target{Name: wwpn, Driver: config.DriverFCoE, Disabled: true}
		},
		"SRP by their port names": func(d *config.Document) {
			d.Targets[0] = config.Target{Name: gid, Driver: config.DriverSRP, Groups: []config.Group{{Name: "g", Initiators: []string{alice}}}}
		},
		"name each initiator, or use engine: scst": func(d *config.Document) {
			d.Targets[0] = config.Target{Name: wwpn, Driver: config.DriverFC, Groups: []config.Group{{Name: "g", Initiators: []string{"21:00:*"}}}}
		},
		"63 characters": func(d *config.Document) { d.Targets[0].Groups[0].Name = strings.Repeat("g", 64) },
	} {
		d := fine()
		change(d)
		errs := Supports(d)
		found := false
		for _, err := range errs {
			found = found || strings.Contains(err.Error(), why)
		}
		if !found {
			t.Errorf("no refusal says %q: %v", why, errs)
		}
	}
}
