package upgrade

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenSource(t *testing.T) {
	data := []byte("an upgrade")
	file := filepath.Join(t.TempDir(), "esos.upgrade")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/esos.upgrade":
			_, _ = w.Write(data)
		case "/moved":
			http.Redirect(w, r, "/esos.upgrade", http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(data)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for name, size := range map[string]int64{file: 10, server.URL + "/esos.upgrade": 10, server.URL + "/moved": 10, "-": -1} {
		s, err := OpenSource(t.Context(), name, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(s.stream)
		if err != nil || !bytes.Equal(got, data) || s.size != size || (s.file != nil) != (name == file) {
			t.Errorf("%s: %q of %d bytes, %v", name, got, s.size, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, why := range map[string]string{
		server.URL + "/nothing": "404", "ftp://example.com/x": "only http and https", file + "x": "no such file", filepath.Dir(file): "is a directory",
		"http://127.0.0.1:1/x": "refused",
	} {
		s, err := OpenSource(t.Context(), name, nil)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, %v, want %q", name, s, err, why)
		}
	}
	s, err := OpenSource(t.Context(), server.URL+"/short", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.size != 1000 {
		t.Errorf("a size of %d is announced", s.size)
	}
	if _, err := io.ReadAll(s.stream); err == nil {
		t.Error("a download that breaks off seems complete")
	}
	if err := s.keep(t.Context(), nil, 1000, func(int64, int64) {}); err != nil && s.file != nil {
		t.Errorf("it is kept: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
