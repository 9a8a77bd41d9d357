package apitest_test

import (
	"os"
	"testing"

	"github.com/esos-project/esos/internal/api/apitest"
)

func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }

// TestNative starts an array with a target process of its own.
func TestNative(t *testing.T) {
	t.Parallel()
	const target, name = "iqn.2026-11.com.example:t", "iqn.2026-11.com.example:i"
	a := apitest.New(t, apitest.Options{Native: true, Document: "version: 1\nname: n\ndevices:\n  - {name: d1, handler: vdisk_fileio, path: d1.img, size: 64MiB}\niscsi:\n  portals:\n    - {name: p, address: \"127.0.0.1:0\"}\ntargets:\n  - {name: " + target + ", luns: [{lun: 2, device: d1}]}\n"})
	s, err := a.Client.Status(t.Context())
	if err != nil || s.Devices != 1 || len(s.Problems) != 0 || s.Engine != "native" {
		t.Errorf("status %+v, error %v", s, err)
	}
	a.Well(t)
	a.Stay(t, "p", target, name)
	a.Sees(t, "p", target, name, map[uint16]uint64{2: 64 << 20})
	a.Refuses(t, "p", target+"2", name, apitest.NotFound)
}
