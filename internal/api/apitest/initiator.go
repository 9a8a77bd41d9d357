package apitest

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

// Native says whether ESOS's own engine serves, with a real target process.
func (a *Array) Native() bool { return a.native != nil }

// Login logs in to a target of an array with ESOS's own engine, by a portal,
// as the initiator of a name. The session ends with the test, if not before.
func (a *Array) Login(t testing.TB, portal, target, name string) (*initiator.Session, error) {
	t.Helper()
	at, err := a.native.Addresses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at[portal] == "" {
		t.Fatalf("portal %s is not served: %v", portal, at)
	}
	s, err := initiator.Login(t.Context(), initiator.Options{Address: at[portal], Target: target, Initiator: name, ISID: a.logins.Add(1)})
	if err == nil {
		t.Cleanup(func() { _ = s.Abandon() })
	}
	return s, err
}

// Stay is Login of an initiator that stays until the test ends or the target
// asks it to leave, which it does then at once.
func (a *Array) Stay(t testing.TB, portal, target, name string) {
	t.Helper()
	s, err := a.Login(t, portal, target, name)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var staying sync.WaitGroup
	staying.Go(func() {
		for {
			if _, err := s.Do(0, make([]byte, 6), nil, 0); err != nil { // TEST UNIT READY
				_ = s.Close()
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		close(stop)
		staying.Wait()
	})
}

// Statuses of logins that are refused (RFC 7143 11.13.5).
const (
	MovedTemporarily      = 0x0101
	AuthenticationFailure = 0x0201
	AuthorizationFailure  = 0x0202
	NotFound              = 0x0203
	ServiceUnavailable    = 0x0301
)

// Refuses fails unless the login of an initiator is refused with a status.
func (a *Array) Refuses(t testing.TB, portal, target, name string, want uint16) {
	t.Helper()
	if luns, status := a.sees(t, portal, target, name); status != want {
		t.Errorf("login of %s to %s: status %#04x, LUNs %v; want status %#04x", name, target, status, luns, want)
	}
}

// Sees fails if an initiator finds other LUNs of a target than these: their
// sizes in bytes, by number.
func (a *Array) Sees(t testing.TB, portal, target, name string, want map[uint16]uint64) {
	t.Helper()
	if luns, status := a.sees(t, portal, target, name); status != 0 || !maps.Equal(luns, want) {
		t.Errorf("login of %s to %s: status %#04x, LUNs %v; want LUNs %v", name, target, status, luns, want)
	}
}

// sees logs an initiator in by a portal, and tells what it finds, or the status
// of a login that was refused.
func (a *Array) sees(t testing.TB, portal, target, name string) (luns map[uint16]uint64, refused uint16) {
	t.Helper()
	s, err := a.Login(t, portal, target, name)
	if no := (*initiator.RefusedError)(nil); errors.As(err, &no) {
		return nil, no.Status
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	found, err := s.LUNs()
	if err != nil {
		t.Fatal(err)
	}
	luns = map[uint16]uint64{}
	for _, lun := range found {
		in, err := s.Must("INQUIRY", lun, []byte{0x12, 0, 0, 0, 36, 0}, nil, 36)
		if err != nil {
			t.Fatalf("LUN %d: %v", lun, err)
		}
		switch in[0] {
		case 0x00:
			blocks, length, err := s.Capacity(lun)
			if err != nil {
				t.Fatalf("LUN %d: %v", lun, err)
			}
			luns[lun] = blocks * uint64(length)
		case 0x05: // a CD-ROM drive
			if _, err := s.Attentions(lun); err != nil {
				t.Fatalf("LUN %d: %v", lun, err)
			}
			r, err := s.Do(lun, []byte{0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, nil, 8)
			if err != nil {
				t.Fatalf("LUN %d: %v", lun, err)
			}
			luns[lun] = 0
			if len(r.In) == 8 {
				luns[lun] = (uint64(binary.BigEndian.Uint32(r.In)) + 1) * uint64(binary.BigEndian.Uint32(r.In[4:]))
			}
		}
	}
	return luns, 0
}

// Well fails if what is served differs from the document in force.
func (a *Array) Well(t testing.TB) {
	t.Helper()
	s, err := a.Client.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if s.State != "ok" || len(s.Problems) > 0 {
		t.Errorf("the array is %s: %q", s.State, s.Problems)
	}
	drift, err := a.Client.Drift(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(drift.Steps) > 0 {
		t.Errorf("what is served is not what the document says:\n%s", drift.Text)
	}
	doc := a.Document()
	if s.Devices != len(doc.Devices) || s.Targets != len(doc.Targets) {
		t.Errorf("%d devices and %d targets are served; the document has %d and %d", s.Devices, s.Targets, len(doc.Devices), len(doc.Targets))
	}
}
