package api

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// TestDocumentGoesRound reads the document, edits and sends it back: secrets
// that were hidden stay what they are.
func TestDocumentGoesRound(t *testing.T) {
	a := newArray(t)
	for _, accept := range []string{"application/yaml", "application/json"} {
		w := a.do(call{role: Admin, method: "GET", path: "/config", accept: accept})
		text, tag := w.Body.String(), w.Header().Get("ETag")
		if w.Code != http.StatusOK || !strings.Contains(text, v1.Redacted) || !strings.HasPrefix(tag, `"`) {
			t.Fatalf("GET /config: %d, ETag %s\n%s", w.Code, tag, text)
		}
		for role, token := range a.tokens {
			if strings.Contains(text, hashToken(token)) {
				t.Errorf("the document as %s shows the hash of the %s's token", accept, role)
			}
		}
		name := "renamed-" + strings.TrimPrefix(accept, "application/")
		text = strings.NewReplacer("name: test\n", "name: "+name+"\n", `"name":"test"`, `"name":"`+name+`"`, "renamed-yaml", name).Replace(text)
		op, header := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "PUT", path: "/config?why=round", body: text, match: tag})
		if op = a.finish(op); !op.Changed || header.Get("Location") != v1.Prefix+"/operations/"+op.ID {
			t.Errorf("the operation %+v is at %s", op, header.Get("Location"))
		}
		doc, rev, err := a.app.Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if doc.Name != name || string(doc.Targets[0].Auth.Users[0].Secret) != chapSecret || rev.Who != "admin" || rev.Why != "round" {
			t.Errorf("as %s: name %s, revision %+v, or the secret was lost", accept, doc.Name, rev)
		}
	}
}

// TestChangesSayWhatTheyAreBasedOn tries changes without, with an old and with
// the right tag, on the document and on objects.
func TestChangesSayWhatTheyAreBasedOn(t *testing.T) {
	a := newArray(t)
	front := config.Portal{Name: "front", Address: "127.0.0.1:3260", Announce: "192.0.2.1:3260"}
	for _, c := range []struct {
		path string
		body any
	}{{"/config", "version: 1\nname: x\n"}, {"/portals/front", front}, {"/config/rollback", v1.Rollback{Revision: 1}}} {
		method := "PUT"
		if strings.HasSuffix(c.path, "rollback") {
			method = "POST"
		}
		p, _ := must[v1.Problem](a, http.StatusPreconditionRequired, call{role: Admin, method: method, path: c.path, body: c.body})
		if p.Type != v1.ProblemPrecondition || !strings.Contains(p.Detail, "If-Match") {
			t.Errorf("%s without If-Match: %+v", c.path, p)
		}
		p, _ = must[v1.Problem](a, http.StatusPreconditionFailed, call{role: Admin, method: method, path: c.path, body: c.body, match: `"0123456789abcdef"`})
		if p.Type != v1.ProblemConflict {
			t.Errorf("%s with an old tag: %+v", c.path, p)
		}
	}
	_, header := must[config.Portal](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/portals/front"})
	tag := header.Get("ETag")
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "PUT", path: "/portals/front", body: front, match: tag})
	a.finish(op)
	got, header := must[config.Portal](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/portals/front"})
	if got != front || header.Get("ETag") == tag {
		t.Errorf("after the change: %+v with ETag %s", got, header.Get("ETag"))
	}
	must[v1.Problem](a, http.StatusPreconditionFailed, call{role: Operator, method: "DELETE", path: "/portals/front", match: tag})
	// The tag of an object does not mind changes elsewhere.
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: "/devices", body: config.Device{Name: "db03", Handler: config.NullIO, Size: 1 << 20}})
	a.finish(op)
	front.Announce = ""
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "PUT", path: "/portals/front", body: front, match: header.Get("ETag")})
	a.finish(op)
}

// TestOneOfManyWins changes one object from many sides at once: with the same
// tag only one may get through.
func TestOneOfManyWins(t *testing.T) {
	a := newArray(t)
	w := a.do(call{role: Admin, method: "GET", path: "/config", accept: "application/yaml"})
	text, tag := w.Body.String(), w.Header().Get("ETag")
	const many = 8
	codes := make([]int, many)
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			body := strings.Replace(text, "name: test\n", fmt.Sprintf("name: won%d\n", i), 1)
			codes[i] = a.do(call{role: Admin, method: "PUT", path: "/config", body: body, match: tag}).Code
		})
	}
	all.Wait()
	won := 0
	for _, c := range codes {
		switch c {
		case http.StatusAccepted:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("status %d", c)
		}
	}
	if won != 1 {
		t.Errorf("%d changes got through: %v", won, codes)
	}
}

// TestDestroyingIsRefused deletes what has data until it is named.
func TestDestroyingIsRefused(t *testing.T) {
	a := newArray(t)
	doc, _, err := a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.RemoveDevice("db02", true); err != nil {
		t.Fatal(err)
	}
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	plan, _ := must[v1.Plan](a, http.StatusOK, call{role: Viewer, method: "POST", path: "/config/plan", body: string(text)})
	if len(plan.Needs) == 0 || !strings.Contains(plan.Text, "--destroy") {
		t.Fatalf("the plan needs nothing: %+v", plan)
	}
	p, _ := must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "PUT", path: "/config", body: string(text), match: "*"})
	if p.Type != v1.ProblemDestroys || len(p.Needs) != len(plan.Needs) || len(p.Errors) == 0 {
		t.Errorf("the refusal: %+v", p)
	}
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "PUT",
		path: "/config?destroy=" + strings.Join(p.Needs, "&destroy="), body: string(text), match: "*"})
	a.finish(op)
	// Back again.
	op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "POST", path: "/config/rollback", body: v1.Rollback{Revision: 1}, match: "*"})
	if a.finish(op).Revision != 3 {
		t.Errorf("the rollback made revision %d", op.Revision)
	}
	revs, _ := must[[]v1.Revision](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/config/revisions"})
	if len(revs) != 3 || revs[0].Why != "rollback to revision 1" {
		t.Errorf("history: %+v", revs)
	}
}

// TestInvalidDocumentsSayWhere wants each fault with its place.
func TestInvalidDocumentsSayWhere(t *testing.T) {
	a := newArray(t)
	for _, c := range []struct {
		text, location, message string
	}{
		{"version: 1\nname: x\ndevices:\n- name: d\n  handlre: vdisk_nullio\n", "5:3", "did you mean"},
		{"version: 1\nname: x\ntargets:\n- name: iqn.2026-11.com.example:t\n  luns:\n  - {lun: 0, device: db1}\n", "targets[0].luns[0].device", `no device "db1"`},
		{"{", "", ""},
	} {
		p, _ := must[v1.Problem](a, http.StatusUnprocessableEntity, call{role: Admin, method: "PUT", path: "/config", body: c.text, match: "*"})
		if len(p.Errors) == 0 {
			t.Errorf("%q: no faults in %+v", c.text, p)
			continue
		}
		all := fmt.Sprint(p.Errors)
		if !strings.Contains(all, c.location) || !strings.Contains(all, c.message) {
			t.Errorf("%q: %s lacks %q or %q", c.text, all, c.location, c.message)
		}
	}
	must[v1.Problem](a, http.StatusBadRequest, call{role: Admin, method: "PUT", path: "/config", match: "*"})
	// A huge one is not even read.
	if w := a.do(call{role: Admin, method: "PUT", path: "/config", body: strings.Repeat("#", maxBody+1), match: "*"}); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of %d bytes: %d", maxBody+1, w.Code)
	}
}

// TestResources creates, reads, changes and deletes one of each kind.
func TestResources(t *testing.T) {
	a := newArray(t)
	const target = "/targets/iqn.2026-11.com.example:t1"
	for _, c := range []struct {
		list, name string
		create     any
		change     any
		want       string // in the answer after the change
	}{
		{"/devices", "new", config.Device{Name: "new", Handler: config.NullIO, Size: 1 << 20}, config.Device{Name: "new", Handler: config.NullIO, Size: 2 << 20}, `"size":2097152`},
		{"/portals", "new", config.Portal{Name: "new", Address: "127.0.0.1:3270"}, config.Portal{Name: "new", Address: "127.0.0.1:3270", Announce: "192.0.2.1:3260"}, "192.0.2.1"},
		{"/targets", "iqn.2026-11.com.example:new", config.Target{Name: "iqn.2026-11.com.example:new"}, config.Target{Name: "iqn.2026-11.com.example:new", Alias: "shown"}, "shown"},
		{target + "/groups", "new", config.Group{Name: "new"}, config.Group{Name: "new", Initiators: []string{"iqn.2026-11.com.example:x"}}, ":x"},
		{target + "/luns", "7", config.LUN{LUN: 7, Device: "db02"}, config.LUN{LUN: 7, Device: "db02", ReadOnly: true}, `"read_only":true`},
		{target + "/groups/hosts/luns", "7", config.LUN{LUN: 7, Device: "db02"}, config.LUN{LUN: 7, Device: "db02", ReadOnly: true}, `"read_only":true`},
		{target + "/groups/hosts/initiators", "!iqn.2026-11.com.example:h9", Initiator{"!iqn.2026-11.com.example:h9"}, nil, ":h9"},
		{"/device-groups", "new", config.DeviceGroup{Name: "new"}, config.DeviceGroup{Name: "new", Devices: []string{"db02"}}, "db02"},
	} {
		item := c.list + "/" + c.name
		must[v1.Problem](a, http.StatusNotFound, call{role: Viewer, method: "GET", path: item})
		op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "POST", path: c.list, body: c.create})
		a.finish(op)
		must[v1.Problem](a, http.StatusConflict, call{role: Operator, method: "POST", path: c.list, body: c.create})
		_, header := must[map[string]any](a, http.StatusOK, call{role: Viewer, method: "GET", path: item})
		if c.change != nil {
			op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "PUT", path: item, body: c.change, match: header.Get("ETag")})
			a.finish(op)
		}
		w := a.do(call{role: Viewer, method: "GET", path: item})
		if !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s after the change: %s", item, w.Body)
		}
		if list := a.do(call{role: Viewer, method: "GET", path: c.list}).Body.String(); !strings.Contains(list, c.want) {
			t.Errorf("%s after the change: %s", c.list, list)
		}
		needs := ""
		if c.list == "/devices" {
			needs = "?destroy=device/new"
		}
		op, _ = must[v1.Operation](a, http.StatusAccepted, call{role: Admin, method: "DELETE", path: item + needs, match: w.Header().Get("ETag")})
		a.finish(op)
		must[v1.Problem](a, http.StatusNotFound, call{role: Viewer, method: "GET", path: item})
	}
	// What is in use, or would be renamed, stays.
	must[v1.Problem](a, http.StatusConflict, call{role: Admin, method: "DELETE", path: "/devices/db01", match: "*"})
	must[v1.Problem](a, http.StatusUnprocessableEntity, call{role: Admin, method: "PUT", path: "/devices/db02", match: "*",
		body: config.Device{Name: "other", Handler: config.Memory, Size: 1 << 20}})
	// A target's secrets are hidden here too, and kept when it is put back.
	w := a.do(call{role: Viewer, method: "GET", path: target})
	op, _ := must[v1.Operation](a, http.StatusAccepted, call{role: Operator, method: "PUT", path: target, match: w.Header().Get("ETag"),
		body: strings.Replace(w.Body.String(), `"name":"iqn.2026-11.com.example:t1"`, `"name":"iqn.2026-11.com.example:t1","alias":"kept"`, 1)})
	a.finish(op)
	doc, _, err := a.app.Document(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := doc.FindTarget("iqn.2026-11.com.example:t1"); err != nil || got.Alias != "kept" || string(got.Auth.Users[0].Secret) != chapSecret {
		t.Errorf("the target put back: alias %q, %v, or its secret was lost", got.Alias, err)
	}
}
