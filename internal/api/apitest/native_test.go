package apitest_test

import (
	"testing"

	"github.com/esos-project/esos/internal/api/apitest"
)

// TestNative starts an array with a target process of its own.
func TestNative(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Native: true, Document: "version: 1\nname: n\ndevices:\n  - {name: d1, handler: vdisk_fileio, path: d1.img, size: 64MiB}\niscsi:\n  portals:\n    - {name: p, address: \"127.0.0.1:0\"}\n"})
	s, err := a.Client.Status(t.Context())
	if err != nil || s.Devices != 1 || len(s.Problems) != 0 || s.Engine != "native" {
		t.Errorf("status %+v, error %v", s, err)
	}
}
