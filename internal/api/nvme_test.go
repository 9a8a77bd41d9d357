package api

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
	"github.com/esos-project/esos/internal/nvmet"
)

const (
	nvmeKey   = "DHHC-1:00:ZXNvcy1leGFtcGxlLWhvc3Qta2V5LTMyLWJ5dGVzISFf2xG6:"
	nvmeDB    = "nqn.2026-11.com.example:db"
	nvmeAlice = "nqn.2026-11.com.example:alice"
)

// newNVMeArray is newArray with an imitated NVMe target.
func newNVMeArray(t *testing.T) (*array, *nvmetfake.Tree) {
	t.Helper()
	a := newArray(t)
	dir, kernel := t.TempDir(), nvmetfake.New(nvmetfake.Options{})
	doc, _, err := a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc.Devices = append(doc.Devices, config.Device{Name: "file", Handler: config.FileIO, Size: 1 << 20})
	log := slog.New(slog.NewTextHandler(a.log, nil))
	app, err := appliance.Open(context.Background(), appliance.Options{DataDir: dir, Engine: a.engine, Log: log, First: doc,
		NVMe: nvmet.New(nvmet.Options{Kernel: kernel, Debug: kernel.Debug(), RunDir: filepath.Join(dir, "run")})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Error(err)
		}
	})
	b := *a
	b.app = app
	b.Server = New(Options{Appliance: app, Log: log, Version: "test", CertDir: t.TempDir(), Now: a.clock.Now})
	b.refresh(context.Background())
	return &b, kernel
}

func TestNVMeResources(t *testing.T) {
	a, kernel := newNVMeArray(t)
	create := func(path string, body any) {
		t.Helper()
		op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: path, body: body})
		a.finish(op)
	}
	sub := "/nvme/subsystems/" + nvmeDB
	create("/nvme/ports", map[string]any{"name": "front", "transport": "tcp", "address": "192.0.2.10:4420"})
	create("/nvme/subsystems", map[string]any{"nqn": nvmeDB})
	create(sub+"/hosts", map[string]any{"nqn": nvmeAlice, "dhchap_key": nvmeKey})
	create(sub+"/namespaces", map[string]any{"nsid": 3, "device": "file"})
	if _, err := kernel.Connect(1, nvmeDB, nvmeAlice); err != nil {
		t.Fatal(err)
	}
	n, _ := must[v1.NVMeConnections](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/nvme/connections"})
	if len(n.Connections) != 1 || !n.Known || n.Connections[0].Host != nvmeAlice || n.Connections[0].Port != "front" {
		t.Errorf("connected: %+v", n)
	}
	// A key is shown to nobody, and stays when its host is read and sent back.
	h, header := must[config.NVMeHost](a, http.StatusOK, call{role: Viewer, method: "GET", path: sub + "/hosts/" + nvmeAlice})
	if h.DHCHAPKey != config.Hidden {
		t.Errorf("the key reads %q", string(h.DHCHAPKey))
	}
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "PUT", path: sub + "/hosts/" + nvmeAlice, match: header.Get("ETag"),
		body: map[string]any{"nqn": nvmeAlice, "dhchap_key": config.Hidden, "dhchap_hash": "sha512"}})
	a.finish(op)
	if key, err := kernel.ReadFile("hosts/" + nvmeAlice + "/dhchap_key"); err != nil || key != nvmeKey+"\n" {
		t.Errorf("the kernel's key: %v", err)
	}
	if strings.Contains(a.log.String(), nvmeKey) {
		t.Error("the log has a key")
	}
	must[any](a, http.StatusForbidden, call{role: Viewer, method: "DELETE", path: sub, match: "*"})
	must[any](a, http.StatusNotFound, call{role: Viewer, method: "GET", path: sub + "/namespaces/x"})
	must[any](a, http.StatusConflict, call{role: Operator, method: "POST", path: "/nvme/ports", body: map[string]any{"name": "front", "transport": "tcp", "address": ":1"}})
	must[any](a, http.StatusConflict, call{role: Operator, method: "DELETE", path: "/devices/file", match: "*"})
	for _, path := range []string{sub + "/namespaces/3", sub + "/hosts/" + nvmeAlice, sub, "/nvme/ports/front"} {
		op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "DELETE", path: path, match: "*"})
		a.finish(op)
	}
	if dump := kernel.Dump(); dump != nvmetfake.New(nvmetfake.Options{}).Dump() {
		t.Errorf("left in the kernel:\n%s", dump)
	}
}
