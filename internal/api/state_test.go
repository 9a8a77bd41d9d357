package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/esos-project/esos/internal/alert"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/engine"
)

// counted is an array whose engine has counters.
type counted struct{ *appliance.Appliance }

// Statistics counts a LUN.
func (counted) Statistics(context.Context) (engine.Statistics, error) {
	n := engine.Counters{Reads: 3, Writes: 2, Other: 1, ReadBytes: 12288, WriteBytes: 8192, Errors: 1}
	n.ReadLatency.Buckets[0], n.ReadLatency.Buckets[1], n.ReadLatency.Buckets[16] = 1, 1, 1
	n.ReadLatency.Sum = 700 * time.Millisecond
	return engine.Statistics{LUNs: []engine.LUNStatistics{
		{Target: "t1", Group: "", LUN: 0, Device: "db01", Counters: n},
		{Target: "t1", Group: "hosts", LUN: 5, Device: "db01", Counters: n},
	}}, nil
}

// Sessions has one.
func (counted) Sessions(context.Context) ([]engine.Session, error) {
	return []engine.Session{{ID: "7", Target: "t1", Group: "hosts", Initiator: "h1", Counters: engine.Counters{Reads: 3}}}, nil
}

// someAlerts has one.
type someAlerts struct{}

func (someAlerts) Active() []alert.Alert {
	return []alert.Alert{{ID: "medium.lost", Severity: alert.Critical, Object: "medium", Message: "gone", Since: time.Unix(1790000000, 0).UTC()}}
}

// TestAlerts are told by themselves and with the status; of an array that
// nobody watches there are none.
func TestAlerts(t *testing.T) {
	a := newArray(t)
	if w := a.do(call{role: Viewer, method: "GET", path: "/alerts"}); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("no alerts: %d %s", w.Code, w.Body)
	}
	a.alerts = someAlerts{}
	var all []v1.Alert
	if err := json.Unmarshal(a.do(call{role: Viewer, method: "GET", path: "/alerts"}).Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || all[0].ID != "medium.lost" || all[0].Severity != "critical" || all[0].Since.Unix() != 1790000000 {
		t.Errorf("alerts: %+v", all)
	}
	var st v1.Status
	if err := json.Unmarshal(a.do(call{role: Viewer, method: "GET", path: "/status"}).Body.Bytes(), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Alerts) != 1 || st.Alerts[0] != all[0] {
		t.Errorf("alerts of the status: %+v", st.Alerts)
	}
}

func TestMetrics(t *testing.T) {
	a := newArray(t)
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(counted{a.app}, someAlerts{}, "test"))
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP esos_alerts Active alerts, by severity.
# TYPE esos_alerts gauge
esos_alerts{severity="critical"} 1
esos_alerts{severity="warning"} 0
# HELP esos_info Always 1; the labels tell the array's name, version and engine.
# TYPE esos_info gauge
esos_info{engine="memory",name="test",version="test"} 1
# HELP esos_target_bytes_total Bytes moved of a target, by kind: read, write.
# TYPE esos_target_bytes_total counter
esos_target_bytes_total{op="read",target="t1"} 24576
esos_target_bytes_total{op="write",target="t1"} 16384
# HELP esos_lun_errors_total SCSI commands of a LUN that failed.
# TYPE esos_lun_errors_total counter
esos_lun_errors_total{device="db01",group="",lun="0",target="t1"} 1
esos_lun_errors_total{device="db01",group="hosts",lun="5",target="t1"} 1
# HELP esos_target_sessions Initiators logged in to a target.
# TYPE esos_target_sessions gauge
esos_target_sessions{target="t1"} 1
# HELP esos_session_commands_total SCSI commands of a session, by kind: read, write, other.
# TYPE esos_session_commands_total counter
esos_session_commands_total{group="hosts",initiator="h1",op="other",session="7",target="t1"} 0
esos_session_commands_total{group="hosts",initiator="h1",op="read",session="7",target="t1"} 3
esos_session_commands_total{group="hosts",initiator="h1",op="write",session="7",target="t1"} 0
`), "esos_alerts", "esos_info", "esos_target_bytes_total", "esos_lun_errors_total", "esos_target_sessions", "esos_session_commands_total")
	if err != nil {
		t.Error(err)
	}
	count, buckets := cumulated(func() engine.Histogram {
		s, _ := counted{}.Statistics(t.Context())
		return s.LUNs[0].Counters.ReadLatency
	}())
	if count != 3 || buckets[16e-6] != 1 || buckets[32e-6] != 2 || buckets[0.524288] != 2 || len(buckets) != 16 {
		t.Errorf("histogram: %d in %v", count, buckets)
	}
	if w := a.do(call{role: Viewer, method: "GET", path: "/metrics"}); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "esos_ok 1") {
		t.Errorf("GET /metrics: %d", w.Code)
	}
}

// stream reads server-sent events.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	body  io.Closer
}

func follow(t *testing.T, url, token string, last int64) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+v1.Prefix+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Last-Event-ID", strconv.FormatInt(last, 10))
	resp, err := http.DefaultClient.Do(r) //nolint:bodyclose // the test closes it, by stream.body
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET /events: %s, %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	return &stream{t, bufio.NewScanner(resp.Body), resp.Body}
}

// next returns the next event of a kind.
func (s *stream) next(kind string) v1.Event {
	s.t.Helper()
	for s.lines.Scan() {
		data, ok := strings.CutPrefix(s.lines.Text(), "data: ")
		var e v1.Event
		if !ok || json.Unmarshal([]byte(data), &e) != nil || e.Kind != kind {
			continue
		}
		return e
	}
	s.t.Fatalf("the stream ended without %s: %v", kind, s.lines.Err())
	return v1.Event{}
}

// TestEventsGoOnWhereTheyWereLeft follows, loses the connection and takes the
// stream up again.
func TestEventsGoOnWhereTheyWereLeft(t *testing.T) {
	a := newArray(t)
	srv := httptest.NewServer(a)
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	s := follow(t, srv.URL, a.tokens[Viewer], 0)
	first := s.next("apply.done")
	a.app.Note(engine.Event{Kind: "test.one", Message: "one"})
	one := s.next("test.one")
	if one.ID <= first.ID || one.Message != "one" {
		t.Errorf("after %d came %+v", first.ID, one)
	}
	_ = s.body.Close()
	a.app.Note(engine.Event{Kind: "test.two", Message: "two"})
	s = follow(t, srv.URL, a.tokens[Viewer], one.ID)
	if two := s.next("test.two"); two.ID != one.ID+1 {
		t.Errorf("taken up after %d: %+v", one.ID, two)
	}
	a.stop() // ends the stream
	for s.lines.Scan() {
	}
	_ = s.body.Close()
}

// TestSessionsOverTheAPI lists and closes.
func TestSessionsOverTheAPI(t *testing.T) {
	a := newArray(t)
	a.engine.SetSessions(engine.Session{ID: "s1", Target: "t", Initiator: "i"})
	all, _ := must[[]engine.Session](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/sessions"})
	if len(all) != 1 || all[0].ID != "s1" {
		t.Errorf("sessions: %+v", all)
	}
	must[struct{}](a, http.StatusNoContent, call{role: Operator, method: "DELETE", path: "/sessions/s1"})
	must[v1.Problem](a, http.StatusNotFound, call{role: Operator, method: "DELETE", path: "/sessions/s1"})
	st, _ := must[v1.Status](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/status"})
	if st.Sessions != 0 || st.Devices != 2 || st.LUNs != 2 || st.Name != "test" || st.State != "ok" {
		t.Errorf("status: %+v", st)
	}
}

// TestYAMLAnswers asks for another form.
func TestYAMLAnswers(t *testing.T) {
	a := newArray(t)
	w := a.do(call{role: Viewer, method: "GET", path: "/devices", accept: "application/yaml"})
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "- ") || !strings.Contains(w.Body.String(), "name: db01") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	if w := a.do(call{role: Viewer, method: "GET", path: "/devices?colour=red"}); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("an unknown parameter: %d", w.Code)
	}
}

// FuzzAPI sends bodies to every route that takes one: whatever comes, the
// answer is one of ours and nothing of the daemon's breaks.
func FuzzAPI(f *testing.F) {
	type route struct{ method, path string }
	routes := []route{
		{"PUT", "/config"}, {"POST", "/config/plan"}, {"POST", "/config/rollback"}, {"POST", "/login"}, {"POST", "/users"},
		{"PUT", "/users/viewer"}, {"POST", "/users/viewer/tokens"}, {"POST", "/devices"}, {"PUT", "/devices/db02"}, {"POST", "/portals"},
		{"POST", "/targets"}, {"PUT", "/targets/iqn.2026-11.com.example:t1"}, {"POST", "/targets/iqn.2026-11.com.example:t1/groups"},
		{"POST", "/targets/iqn.2026-11.com.example:t1/luns"}, {"POST", "/targets/iqn.2026-11.com.example:t1/groups/hosts/initiators"},
		{"POST", "/device-groups"}, {"PUT", "/device-groups/pool"},
	}
	for i := range routes {
		for _, seed := range []string{
			`{}`, `[]`, `null`, `"x"`, `{"name":"db03","handler":"vdisk_nullio","size":"1MiB"}`, `{"name":"db02","handler":"vdisk_memory","size":1e400}`,
			`{"name":"iqn.2026-11.com.example:t1","luns":[{"lun":-1,"device":"db01"}]}`, `{"lun":1,"device":"db02"}`, `{"pattern":"*"}`,
			`{"name":"admin","password":"x"}`, `{"name":"n","role":"admin","tokens":["a"]}`, `{"revision":1}`, "version: 1\nname: a\n",
			"a: &a [*a]", "{\"name\":\"\xff\"}", `{"name":"pool","target_groups":[{"name":"g","id":70000}]}`,
		} {
			f.Add(byte(i), seed)
		}
	}
	a := newArray(f)
	f.Fuzz(func(t *testing.T, which byte, body string) {
		a.t = t
		r := routes[int(which)%len(routes)]
		w := a.do(call{role: Admin, method: r.method, path: r.path, body: body, match: "*"})
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s with %q: %d %s", r.method, r.path, body, w.Code, w.Body)
		}
		if w.Code >= 400 {
			var p v1.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title == "" {
				t.Errorf("%s %s with %q: %d is not explained: %s", r.method, r.path, body, w.Code, w.Body)
			}
		}
	})
}
