package appliance_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/choice"
	"github.com/esos-project/esos/internal/engine/scst"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

// TestSCST carries a document out through SCST, changes a line of it, and finds
// that nothing is left to do.
func TestSCST(t *testing.T) {
	dir := t.TempDir()
	kernel := scstfake.New(scstfake.Options{EAGAIN: true, Stat: func(p string) (int64, error) {
		fi, err := host.Files{}.Stat(p)
		return fi.Size, err
	}})
	kernel.StartDaemon()
	e := choice.New(map[string]choice.Maker{
		"scst": {Supports: scst.Supports, Start: func(ctx context.Context) (choice.Serving, error) {
			return scst.Start(ctx, scst.Options{
				Kernel: kernel, KernelLog: kernel, RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"), DataDir: dir,
				Reservations: filepath.Join(dir, "var/pr"), Busy: time.Microsecond,
			})
		}},
		"native": {Supports: func(*config.Document) []error { return nil }, Start: func(context.Context) (choice.Serving, error) { return &memory{}, nil }},
	}, filepath.Join(dir, "engine"))
	a, err := appliance.Open(t.Context(), appliance.Options{DataDir: dir, Engine: e, Log: slog.New(slog.DiscardHandler), Retry: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(d *config.Document, destroy ...string) {
		t.Helper()
		op, err := a.Apply(t.Context(), appliance.Change{Document: d, Who: "test", Destroy: destroy})
		if err == nil {
			err = op.Wait(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Plan(t.Context(), d)
		if err != nil || !p.Empty() || len(p.Problems) > 0 {
			t.Errorf("plan for what is in force: %+v, %v", p, err)
		}
	}
	const iqn = "iqn.2026-11.com.example:disk"
	document := func(luns ...config.LUN) *config.Document {
		return &config.Document{
			Version: 1, Name: "array", ID: "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", Engine: "scst",
			Devices: []config.Device{{Name: "db01", Handler: config.FileIO, Size: 1 << 20}, {Name: "null", Handler: config.NullIO, Size: 1 << 20}, {Name: "cd", Handler: config.CDROM}},
			ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "p1", Address: "127.0.0.1:3260"}, {Name: "p2", Address: "[::1]:3260"}}, Discovery: config.Auth{Users: []config.CHAPUser{{Name: "f", Secret: "twelve-bytes-to-find"}}}},
			Targets: []config.Target{{
				Name: iqn, Portals: []string{"p1"}, Parameters: config.Parameters{QueuedCommands: 8},
				Auth:   config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}, Mutual: &config.CHAPUser{Name: "m", Secret: "twelve-bytes-of-ours"}},
				Groups: []config.Group{{Name: "hosts", Initiators: []string{"iqn.1993-08.org.debian:01:*"}, LUNs: luns}},
			}},
			DeviceGroups: []config.DeviceGroup{{Name: "dg", Devices: []string{"db01"}, TargetGroups: []config.TargetGroup{
				{Name: "here", ID: 1, Targets: []config.GroupTarget{{Name: iqn}}}, {Name: "there", ID: 2, State: "standby", Targets: []config.GroupTarget{{Name: "iqn.2026-11.com.example:peer", RelativeID: 500}}}}}},
		}
	}
	apply(document(config.LUN{LUN: 0, Device: "db01"}))
	kernel.Requests()
	apply(document(config.LUN{LUN: 0, Device: "db01"}, config.LUN{LUN: 1, Device: "null"}))
	if got := kernel.Requests(); len(got) != 1 || !strings.HasSuffix(got[0], "ini_groups/hosts/luns/mgmt add null 1") {
		t.Errorf("a line more in the document is %d requests: %q", len(got), got)
	}
	empty := document()
	empty.Devices, empty.Targets, empty.DeviceGroups = nil, nil, nil
	apply(empty, "target/"+iqn, "device/db01", "image/db01", "device/null", "device/cd")
	if s, err := e.Observe(t.Context()); err != nil || choice.Serves(s) {
		t.Errorf("left: %+v, %v", s, err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
