package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a client of a handler over TLS, with its certificate pinned.
func served(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	sum := sha256.Sum256(srv.Certificate().Raw)
	c, err := New(Options{URL: srv.URL, Token: "esos_t", Fingerprint: "SHA256:" + strings.ToUpper(hex.EncodeToString(sum[:]))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestOptions(t *testing.T) {
	pin := "sha256:" + strings.Repeat("0", 64)
	for _, o := range []Options{
		{}, {URL: "http://array1:8443"}, {URL: "array1:8443"}, {URL: "https://"}, {URL: "https://array1/x"}, {URL: "https://array1", Fingerprint: "sha256:00"},
		{URL: "https://array1", Fingerprint: "md5:" + strings.Repeat("0", 64)},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, o := range []Options{{Socket: "x"}, {URL: "https://array1:8443/"}, {URL: "https://[::1]:8443", Fingerprint: pin}} {
		if _, err := New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestErrors wants problems as they were sent, and others explained.
func TestErrors(t *testing.T) {
	answer, kind, status := "", "", 0
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer esos_t" {
			t.Errorf("the token was not sent: %v", r.Header)
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	})
	for _, x := range []struct {
		answer, kind string
		status       int
		want         string
	}{
		{`{"title":"Conflict","detail":"it is there","errors":[{"location":"a.b","message":"why"},{"message":"so"}]}`, "application/problem+json", 409, "it is there\n  a.b: why\n  so"},
		{`{"title":"Conflict"}`, "application/problem+json; charset=utf-8", 409, "Conflict"},
		{`{"title":`, "application/problem+json", 500, "the array answered 500 Internal Server Error without saying why; is it an ESOS array?"},
		{"<html>", "text/html", 302, "the array answered 302 Found without saying why; is it an ESOS array?"},
	} {
		answer, kind, status = x.answer, x.kind, x.status
		_, err := c.Status(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Error() != x.want || e.Status != x.status {
			t.Errorf("%d %s: %v, want %s", x.status, x.answer, err, x.want)
		}
	}
	answer, kind, status = "[", "application/json", 200
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "read the array's answer to GET /status") {
		t.Errorf("an answer that is cut: %v", err)
	}
}

// TestUnreachable tells a dead daemon from one that answers.
func TestUnreachable(t *testing.T) {
	c, err := New(Options{Socket: filepath.Join(t.TempDir(), "none.sock")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Status(t.Context())
	var u *UnreachableError
	if !errors.As(err, &u) || strings.Contains(err.Error(), v1.Prefix) {
		t.Errorf("no daemon: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestEvents reads a stream with heartbeats, comments and cut lines.
func TestEvents(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") != "41" || r.URL.Query().Get("follow") != "true" {
			t.Errorf("asked for %s, Last-Event-ID %s", r.URL, r.Header.Get("Last-Event-ID"))
		}
		fmt.Fprint(w, "event: heartbeat\ndata: {\"time\":\"2026-11-23T07:00:00Z\"}\n\n: comment\n\nid: 42\ndata: {\"id\":42,\"kind\":\"a\"}\n\nid: 43\ndata: {\"id\":43,\"kind\":\"b\"}\n\n")
	})
	var kinds []string
	if err := c.Events(t.Context(), 41, true, func(e v1.Event) error {
		kinds = append(kinds, fmt.Sprintf("%d %s", e.ID, e.Kind))
		return nil
	}); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"42 a", "43 b"}, kinds); d != "" {
		t.Error(d)
	}
	enough := errors.New("enough")
	if err := c.Events(t.Context(), 41, true, func(v1.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the reader has enough: %v", err)
	}
}

// TestFollow follows an operation, showing each answer once.
func TestFollow(t *testing.T) {
	n := 0
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		if want := fmt.Sprintf(`"%d"`, n-1); n > 1 && r.URL.Query().Get("seen") != want {
			t.Errorf("seen %s, want %s", r.URL.Query().Get("seen"), want)
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		state := v1.Running
		if n == 3 {
			state = v1.Failed
		}
		fmt.Fprintf(w, `{"id":"7","state":%q,"done":%d}`, state, n)
	})
	var seen []int
	op, err := c.Follow(t.Context(), v1.Operation{ID: "7", State: v1.Running}, func(o v1.Operation) { seen = append(seen, o.Done) })
	if err != nil || op.State != v1.Failed {
		t.Errorf("%+v, %v", op, err)
	}
	if d := cmp.Diff([]int{0, 1, 2, 3}, seen); d != "" {
		t.Error(d)
	}
}
