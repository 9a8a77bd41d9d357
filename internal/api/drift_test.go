package api

import (
	"net/http"
	"strings"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// TestDrift looks at what somebody changed by hand, adopts some of it and undoes
// the rest.
func TestDrift(t *testing.T) {
	a := newArray(t)
	a.engine.Shared = true
	target := "iqn.2026-11.com.example:t1"
	served, err := a.engine.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := served.Targets[0]
	own.Groups, own.LUNs = nil, nil
	own.Auth.Users[0].Secret = "another-secret-9e0a"
	for _, err := range []error{
		a.engine.PutTarget(t.Context(), own),
		a.engine.PutLUN(t.Context(), target, "hosts", config.LUN{LUN: 5, Device: "db02"}),
		a.engine.PutDevice(t.Context(), config.Device{Name: "passwd", Handler: config.BlockIO, Path: "/dev/sda"}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p, _ := must[v1.Plan](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/drift"})
	names := map[string]string{}
	for _, d := range p.Drift {
		names[d.Object] = d.What
	}
	lun := "lun/" + target + "/hosts/5"
	if len(names) != 3 || names[lun] != "added" || names["target/"+target] != "changed" || names["device/passwd"] != "added" {
		t.Errorf("drift: %v", names)
	}
	st, _ := must[v1.Status](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/status"})
	if len(st.Drift) != 3 {
		t.Errorf("status: %q", st.Drift)
	}
	// A change of something else shows it apart.
	doc, _, err := a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	p, _ = must[v1.Plan](a, http.StatusOK, call{role: Admin, method: "POST", path: "/config/plan", body: strings.Replace(string(text), "name: test\n", "name: other\n", 1)})
	if len(p.Drift) != 3 || !p.Drift[0].Left || len(p.Steps) != 0 || !strings.Contains(p.Text, "changed by hand, not by esos") {
		t.Errorf("plan of another change: %+v", p)
	}

	some := v1.DriftChange{Objects: []string{lun, "target/" + target}, Why: "in use"}
	must[v1.Problem](a, http.StatusPreconditionRequired, call{role: Operator, method: "POST", path: "/drift/adopt", body: some})
	must[v1.Problem](a, http.StatusNotFound, call{role: Operator, method: "POST", path: "/drift/adopt", body: v1.DriftChange{Objects: []string{"device/db01"}}, match: "*"})
	// Who may not name files of the machine does not get them served this way.
	must[v1.Problem](a, http.StatusForbidden, call{role: Operator, method: "POST", path: "/drift/adopt", body: v1.DriftChange{}, match: "*"})
	p, _ = must[v1.Plan](a, http.StatusOK, call{role: Viewer, method: "POST", path: "/drift/adopt/plan", body: some})
	if len(p.Adopts) != 2 || len(p.Steps) != 0 || strings.Contains(p.Text, "another-secret") || strings.Contains(p.Text, chapSecret) {
		t.Errorf("plan of the adoption: %+v", p)
	}
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: "/drift/adopt", body: some, match: "*"})
	if op = a.finish(op); !op.Changed || op.Why != "in use" {
		t.Errorf("adopted: %+v", op)
	}
	doc, _, err = a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if luns := doc.Targets[0].Groups[0].LUNs; len(luns) != 2 || luns[1].Device != "db02" || doc.Targets[0].Auth.Users[0].Secret != "another-secret-9e0a" {
		t.Errorf("the document: %+v", doc.Targets[0])
	}

	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: "/drift/revert", body: v1.DriftChange{}, match: "*"})
	a.finish(op)
	p, _ = must[v1.Plan](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/drift"})
	if len(p.Drift) != 0 {
		t.Errorf("after all: %+v", p.Drift)
	}
	for _, secret := range []string{"another-secret-9e0a", chapSecret} {
		if strings.Contains(a.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}
