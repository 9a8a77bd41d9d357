package process

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/engine/native/control"
)

// TestStoreGrows: what is on a block device that became larger is served whole
// once the device is put again, to the session that had it before, which is
// told (SPC-4 5.14, CAPACITY DATA HAS CHANGED).
func TestStoreGrows(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	path := filepath.Join(t.TempDir(), "block")
	f, err := os.Create(path)
	r.ok(err)
	r.ok(f.Truncate(1 << 20))
	spec := control.Device{Name: "block", Handler: blockIO, Path: "/dev/vg0/db01", BlockSize: 512}
	r.ok(r.do(control.OpPutDevice, spec, f))
	r.ok(r.do(control.OpPutLUN, control.LUNRequest{Map: control.Map{Target: iqn}, LUN: control.LUN{LUN: 1, Device: "block"}}))
	s, err := initiator.Login(t.Context(), initiator.Options{Address: at, Target: iqn, Initiator: alice})
	r.ok(err)
	defer func() { r.ok(s.Abandon()) }()
	_, err = s.Attentions(1)
	r.ok(err)
	if blocks, _, err := s.Capacity(1); err != nil || blocks != 2048 {
		t.Fatalf("%d blocks, %v", blocks, err)
	}
	r.ok(s.Write(1, 7, make([]byte, 512), 512, true))

	r.ok(os.Truncate(path, 4<<20))
	if blocks, _, err := s.Capacity(1); err != nil || blocks != 2048 {
		t.Errorf("before it was put again: %d blocks, %v", blocks, err)
	}
	r.ok(r.do(control.OpPutDevice, spec)) // no file comes along: it is the one that is served
	if codes, err := s.Attentions(1); err != nil || !slices.Contains(codes, 0x2a09) {
		t.Errorf("told: %#04x, %v", codes, err)
	}
	if blocks, _, err := s.Capacity(1); err != nil || blocks != 8192 {
		t.Errorf("%d blocks, %v", blocks, err)
	}
	if got := r.observe().Devices; !slices.ContainsFunc(got, func(d control.Device) bool { return d.Name == "block" && d.Size == 4<<20 }) {
		t.Errorf("it tells: %+v", got)
	}
	r.ok(s.Write(1, 8191, make([]byte, 512), 512, true))
}
