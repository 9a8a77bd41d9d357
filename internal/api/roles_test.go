package api

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// needed is the least role for a route, said a second time and in other words
// than the routes themselves.
func needed(method, path string) Role {
	switch {
	case path == "/login":
		return Nobody
	case path == "/logout":
		return Viewer
	case method == http.MethodGet, strings.HasSuffix(path, "/plan"):
		return Viewer
	case strings.HasPrefix(path, "/users"), path == "/clock/time", strings.HasPrefix(path, "/network/"), strings.HasPrefix(path, "/services"), strings.HasSuffix(path, "/recovery-key"),
		strings.HasPrefix(path, "/images"), method == http.MethodDelete && strings.HasPrefix(path, "/snapshots"):
		return Admin
	}
	return Operator
}

// TestEveryRouteAsksForItsRole walks every route as everybody.
func TestEveryRouteAsksForItsRole(t *testing.T) {
	a := newArray(t)
	walked := 0
	for path, item := range a.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete, "PATCH": item.Patch} {
			if op == nil {
				continue
			}
			walked++
			short := strings.TrimPrefix(path, v1.Prefix)
			need := needed(method, short)
			if declared := op.Metadata[roleKey]; declared != need {
				t.Errorf("%s %s is for %v, want %v", method, short, declared, need)
			}
			where := strings.NewReplacer("{target}", "iqn.2026-11.com.example:none", "{group}", "none", "{name}", "none", "{id}", "none", "{number}", "999").Replace(short)
			if short == "/events" {
				where += "?follow=false"
			}
			for _, r := range []Role{Nobody, Viewer, Operator, Admin} {
				w := a.do(call{role: r, method: method, path: where, body: "{}"})
				refused := w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden
				if want := r < need; refused != want {
					t.Errorf("%s %s as %s: %d, want refused=%v: %s", method, where, r, w.Code, want, w.Body)
				}
				if want := http.StatusUnauthorized; r == Nobody && need > Nobody && w.Code != want {
					t.Errorf("%s %s as nobody: %d, want %d", method, where, w.Code, want)
				}
				if refused && w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s %s as %s: the refusal is %s", method, where, r, w.Header().Get("Content-Type"))
				}
			}
		}
	}
	if walked < 40 {
		t.Errorf("walked %d routes only", walked)
	}
	for _, path := range []string{"/openapi.yaml", "/metrics", "/nothing"} {
		if w := a.do(call{method: "GET", path: path}); w.Code != http.StatusUnauthorized {
			t.Errorf("GET %s as nobody: %d", path, w.Code)
		}
		if w := a.do(call{role: Viewer, method: "GET", path: path}); w.Code == http.StatusUnauthorized {
			t.Errorf("GET %s as viewer: %d", path, w.Code)
		}
	}
}

// TestOpenAPI compares the description with docs/openapi.yaml: a change of the
// API is seen in review.
func TestOpenAPI(t *testing.T) {
	const file = "../../docs/openapi.yaml"
	got, err := newArray(t).OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("the API is not what %s says; if that is meant, run go test ./internal/api -update (-want +got):\n%s", file, d)
	}
}

// TestOperatorsChangeNoUsersAndDestroyNothing tries the ways around the roles
// that lead through the document.
func TestOperatorsChangeNoUsersAndDestroyNothing(t *testing.T) {
	a := newArray(t)
	w := a.do(call{role: Operator, method: "GET", path: "/config", accept: "application/yaml"})
	text, tag := w.Body.String(), w.Header().Get("ETag")
	if !strings.Contains(text, "role: operator") {
		t.Fatalf("the document has no operator:\n%s", text)
	}
	for name, body := range map[string]string{
		"promotes itself":     strings.Replace(text, "role: operator", "role: admin", 1),
		"sets a listen":       strings.Replace(text, "api:\n", "api:\n  listen: 0.0.0.0:1\n", 1),
		"drops all API users": text[:strings.Index(text, "api:")],
	} {
		w := a.do(call{role: Operator, method: "PUT", path: "/config", body: body, match: tag})
		if w.Code != http.StatusForbidden {
			t.Errorf("an operator who %s gets %d: %s", name, w.Code, w.Body)
		}
	}
	if w := a.do(call{role: Operator, method: "DELETE", path: "/device-groups/pool?destroy=device/db01", match: "*"}); w.Code != http.StatusForbidden {
		t.Errorf("an operator who destroys gets %d: %s", w.Code, w.Body)
	}
	if w := a.do(call{role: Operator, method: "PUT", path: "/config", body: text, match: tag}); w.Code != http.StatusAccepted {
		t.Errorf("an operator who changes nothing gets %d: %s", w.Code, w.Body)
	}
	if w := a.do(call{role: Admin, method: "GET", path: "/config?reveal=true"}); w.Code != http.StatusForbidden {
		t.Errorf("an admin over TCP sees secrets: %d", w.Code)
	}
}
