package api

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/snapshot"
)

// newSnapshotArray has the devices a and b on thin volumes.
func newSnapshotArray(t *testing.T) (*array, *storagefake.Thin) {
	t.Helper()
	m := storagefake.New()
	thin := m.Thin("vg/a", "vg/b")
	files := storagefake.Images{Machine: m}
	a := newArrayWith(t, func(o *appliance.Options) {
		o.Files = files
		o.Snapshots = snapshot.New(snapshot.Options{Machine: m, Files: files, DataDir: "/data",
			Now: func() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }})
		for _, n := range []string{"a", "b"} {
			o.First.Devices = append(o.First.Devices, config.Device{Name: n, Handler: config.BlockIO, Path: "/dev/vg/" + n})
		}
	})
	return a, thin
}

func TestSnapshots(t *testing.T) {
	a, thin := newSnapshotArray(t)
	take := v1.SnapshotRequest{Devices: []string{"a", "b"}, Name: "before"}
	if w := a.do(call{role: Viewer, method: "POST", path: "/snapshots", body: take}); w.Code != http.StatusForbidden {
		t.Errorf("a viewer takes a snapshot: %d", w.Code)
	}
	made, _ := must[v1.SnapshotList](a, http.StatusCreated, call{role: Operator, method: "POST", path: "/snapshots", body: take})
	if len(made.Snapshots) != 2 || made.Snapshots[0].Volume != "a.before-20261128-120000" || made.Snapshots[0].Pool != "pool" {
		t.Errorf("%+v", made)
	}
	all, _ := must[v1.SnapshotList](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/snapshots"})
	if len(all.Snapshots) != 2 || all.Snapshots[1].Device != "b" || len(all.Problems) > 0 {
		t.Errorf("%+v", all)
	}
	must[v1.Problem](a, http.StatusConflict, call{role: Operator, method: "POST", path: "/snapshots", body: take}) // of the same second
	p, _ := must[v1.Problem](a, http.StatusUnprocessableEntity, call{role: Operator, method: "POST", path: "/snapshots", body: v1.SnapshotRequest{Devices: []string{"db01"}, Name: "x"}})
	if !strings.Contains(p.Detail, "is of handler vdisk_memory") {
		t.Errorf("%+v", p)
	}
	must[v1.Problem](a, http.StatusNotFound, call{role: Operator, method: "POST", path: "/snapshots", body: v1.SnapshotRequest{Devices: []string{"gone"}, Name: "x"}})

	one := "/snapshots/a/before-20261128-120000"
	if w := a.do(call{role: Operator, method: "DELETE", path: one + "?destroy=snapshot/a@before-20261128-120000"}); w.Code != http.StatusForbidden {
		t.Errorf("an operator deletes a snapshot: %d", w.Code)
	}
	p, _ = must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "DELETE", path: one})
	if p.Type != v1.ProblemDestroys || len(p.Needs) != 1 || p.Needs[0] != "snapshot/a@before-20261128-120000" {
		t.Errorf("%+v", p)
	}
	p, _ = must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "DELETE", path: one + "?destroy=snapshot/b@before-20261128-120000"})
	if p.Type != v1.ProblemDestroys || len(thin.Names()) != 4 {
		t.Errorf("another one was named: %+v; %v", p, thin.Names())
	}
	thin.Volume("vg", "a.before-20261128-120000").Open = true
	p, _ = must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "DELETE", path: one + "?destroy=snapshot/a@before-20261128-120000"})
	if p.Type != v1.ProblemConflict {
		t.Errorf("one that is used: %+v", p)
	}
	thin.Volume("vg", "a.before-20261128-120000").Open = false
	if w := a.do(call{role: Admin, method: "DELETE", path: one + "?destroy=snapshot/a@before-20261128-120000"}); w.Code != http.StatusNoContent {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if len(thin.Names()) != 3 {
		t.Errorf("left: %v", thin.Names())
	}
	if log := a.log.String(); !strings.Contains(log, "DELETE /api/v1/snapshots/a/before-20261128-120000") || !strings.Contains(log, "snapshot.taken") {
		t.Error("the log tells nothing of it")
	}
}

func TestImages(t *testing.T) {
	var dir string
	a := newArrayWith(t, func(o *appliance.Options) { dir = o.DataDir })
	large := strings.Repeat("0123456789abcdef", 1<<20) // more than a request may take in memory
	if w := a.do(call{role: Operator, method: "PUT", path: "/images/-/a.img", body: large}); w.Code != http.StatusForbidden {
		t.Errorf("an operator sends a file: %d", w.Code)
	}
	if w := a.do(call{method: "PUT", path: "/images/-/a.img", body: large}); w.Code != http.StatusUnauthorized {
		t.Errorf("nobody sends a file: %d", w.Code)
	}
	got, _ := must[v1.ImageReceived](a, http.StatusCreated, call{role: Admin, method: "PUT", path: "/images/-/a.img", body: large})
	if got.Size != 16<<20 || len(got.SHA256) != 64 || filepath.Base(got.Path) != "a.img" {
		t.Errorf("%+v", got)
	}
	must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "PUT", path: "/images/-/a.img", body: "x"})
	must[v1.Problem](a, http.StatusUnprocessableEntity, call{role: Admin, method: "PUT", path: "/images/-/a.sh", body: "x"})
	must[v1.Problem](a, http.StatusNotFound, call{role: Admin, method: "PUT", path: "/images/gone/a.img", body: "x"})

	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/images/copy", body: v1.ImageCopy{From: got.Path, To: "devices/b.img"}})
	for op.Ended == nil {
		op, _ = must[v1.Operation](a, http.StatusOK, call{role: Admin, method: "GET", path: "/operations/" + op.ID + "?wait=5"})
	}
	if op.State != v1.Done || !op.Changed {
		t.Errorf("%+v", op)
	}
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/images/copy", body: v1.ImageCopy{From: "/etc/passwd", To: "devices/c.img"}})
	for op.Ended == nil {
		op, _ = must[v1.Operation](a, http.StatusOK, call{role: Admin, method: "GET", path: "/operations/" + op.ID + "?wait=5"})
	}
	if op.State != v1.Failed || !strings.Contains(op.Error, "is neither on a mounted file system") {
		t.Errorf("%+v", op)
	}
	all, _ := must[v1.Images](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/images"})
	if len(all.Images) != 2 || all.Images[1].Size != 16<<20 || all.Images[0].FileSystem != "-" {
		t.Errorf("%+v", all)
	}
	del := "/images?path=devices/b.img"
	p, _ := must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "DELETE", path: del})
	if len(p.Needs) != 1 || p.Needs[0] != "image/-/devices/b.img" {
		t.Errorf("%+v", p)
	}
	if w := a.do(call{role: Admin, method: "DELETE", path: del + "&destroy=image/-/devices/b.img"}); w.Code != http.StatusNoContent {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if _, err := os.Stat(filepath.Join(dir, "devices/b.img")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	events, err := a.app.Events(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, e := range events {
		told[e.Kind] = true
	}
	for _, kind := range []string{"image.received", "image.copied", "image.deleted", "audit"} {
		if !told[kind] {
			t.Errorf("no event %s", kind)
		}
	}
}
