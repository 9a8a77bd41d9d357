package api

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/argon2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/password"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Secrets of the test's document, which must not be seen anywhere.
const (
	chapSecret    = "chap-secret-7c1f"
	adminPassword = "correct horse battery"
)

// array is a server on an appliance with an engine in memory.
type array struct {
	*Server
	t      testing.TB
	app    *appliance.Appliance
	engine *enginetest.Memory
	clock  *clock
	tokens map[Role]string
	log    *lockedBuffer
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newArray serves one target with a disk, a host group and CHAP, and has a
// user with a token for each role; root has a password too.
func newArray(t testing.TB) *array {
	t.Helper()
	return newArrayWith(t, func(*appliance.Options) {})
}

// newArrayWith is newArray with other options.
func newArrayWith(t testing.TB, set func(*appliance.Options)) *array {
	t.Helper()
	a := &array{t: t, engine: &enginetest.Memory{}, clock: &clock{now: time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)},
		tokens: map[Role]string{}, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	doc := &config.Document{
		Version: config.Version, Name: "test", ID: "11111111-2222-4333-8444-555555555555",
		Devices: []config.Device{{Name: "db01", Handler: config.Memory, Size: 16 << 20}, {Name: "db02", Handler: config.Memory, Size: 16 << 20}},
		ISCSI:   config.ISCSI{Portals: []config.Portal{{Name: "front", Address: "127.0.0.1:3260"}}},
		Targets: []config.Target{{
			Name: "iqn.2026-11.com.example:t1",
			Auth: config.Auth{Users: []config.CHAPUser{{Name: "host1", Secret: chapSecret}}},
			LUNs: []config.LUN{{LUN: 0, Device: "db01"}},
			Groups: []config.Group{{Name: "hosts", Initiators: []string{"iqn.2026-11.com.example:h*"},
				LUNs: []config.LUN{{LUN: 0, Device: "db01"}}}},
		}},
		DeviceGroups: []config.DeviceGroup{{Name: "pool", Devices: []string{"db01"},
			TargetGroups: []config.TargetGroup{{Name: "local", ID: 1, Targets: []config.GroupTarget{{Name: "iqn.2026-11.com.example:t1"}}}}}},
	}
	salt := []byte("0123456789abcdef")
	hash := password.PHC{Time: 1, Memory: 64, Threads: 1, Salt: salt, Key: argon2.IDKey([]byte(adminPassword), salt, 1, 64, 1, 32)} // a cheap one
	for _, r := range []Role{Viewer, Operator, Admin} {
		token := newToken(tokenPrefix)
		a.tokens[r] = token
		u := config.APIUser{Name: r.String(), Role: r.String(), Tokens: []config.Token{{Name: "t", Hash: config.Secret(hashToken(token))}}}
		if r == Admin {
			u.Password = config.Secret(hash.String())
		}
		doc.API.Users = append(doc.API.Users, u)
	}
	var err error
	o := appliance.Options{DataDir: t.TempDir(), Engine: a.engine, Log: log, First: doc}
	set(&o)
	a.app, err = appliance.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.app.Close(); err != nil {
			t.Error(err)
		}
	})
	a.Server = New(Options{Appliance: a.app, Log: log, Version: "test", CertDir: t.TempDir(), Now: a.clock.Now})
	a.refresh(context.Background())
	return a
}

// call is a request and what is expected of its answer.
type call struct {
	role   Role
	method string
	path   string // below /api/v1, unless it begins with /metrics
	body   any    // JSON; a string is sent as it is
	match  string
	accept string
	from   string // address
	token  string // instead of the role's
}

// do sends a request over what looks like TCP.
func (a *array) do(c call) *httptest.ResponseRecorder {
	a.t.Helper()
	var body io.Reader
	switch b := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	path := c.path
	if !strings.HasPrefix(path, "/metrics") {
		path = v1.Prefix + path
	}
	r := httptest.NewRequest(c.method, path, body)
	r.RemoteAddr = "192.0.2.1:4711"
	if c.from != "" {
		r.RemoteAddr = c.from
	}
	token := c.token
	if token == "" {
		token = a.tokens[c.role]
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if c.match != "" {
		r.Header.Set("If-Match", c.match)
	}
	if c.accept != "" {
		r.Header.Set("Accept", c.accept)
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(deadlines{w}, r)
	if w.Body.Len() > 0 && strings.Contains(w.Body.String(), chapSecret) {
		a.t.Errorf("%s %s: the answer has a secret", c.method, c.path)
	}
	return w
}

// deadlines lets a recorder take the deadlines that connections have.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error  { return nil }
func (deadlines) SetWriteDeadline(time.Time) error { return nil }

// must sends a request whose answer has a status, and decodes it.
func must[T any](a *array, status int, c call) (v T, header http.Header) {
	a.t.Helper()
	w := a.do(c)
	if w.Code != status {
		a.t.Fatalf("%s %s as %s: %d, want %d: %s", c.method, c.path, c.role, w.Code, status, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			a.t.Fatalf("%s %s: %v in %s", c.method, c.path, err, w.Body)
		}
	}
	return v, w.Header()
}

// finish waits for an operation to end well.
func (a *array) finish(op v1.Operation) v1.Operation {
	a.t.Helper()
	end, _ := must[v1.Operation](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/operations/" + op.ID + "?wait=10"})
	if end.State != v1.Done {
		a.t.Fatalf("operation %s ended %s: %s", op.ID, end.State, end.Error)
	}
	return end
}

// noted returns what was noted so far, by kind.
func (a *array) noted(kind string) []appliance.Event {
	a.t.Helper()
	all, err := a.app.Events(context.Background(), 0)
	if err != nil {
		a.t.Fatal(err)
	}
	var some []appliance.Event
	for _, e := range all {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// marshal is a document's text, with its secrets.
func marshal(t *testing.T, doc *config.Document) string {
	t.Helper()
	text, err := config.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
