package kernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestReservations has two initiators register with APTPL, one of which holds a
// reservation for all registrants (type 8h), and finds all of it after a reboot.
// The disk is the appliance's data disk, which is there again by itself.
func TestReservations(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 30*time.Minute)
	a := newArray(ctx, t, "lio", appliance.Options{})
	a.Run(ctx, "umount "+images)
	const target = appliance.Target // which a stand waits for
	a.apply(ctx, `
devices:
  - {name: disk, handler: vdisk_blockio, path: /dev/disk/by-id/virtio-`+appliance.DataDisk+`}
iscsi: {portals: [{name: all, address: "0.0.0.0:3260"}]}
targets:
  - name: `+target+`
    groups:
      - {name: everybody, initiators: ["*"], luns: [{lun: 0, device: disk}]}
`)
	login := func(name string, isid uint32) *initiator.Session {
		t.Helper()
		s, err := initiator.Login(ctx, initiator.Options{Address: a.Portal(), Target: target, Initiator: name, ISID: isid, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attentions(0); err != nil {
			t.Fatal(err)
		}
		return s
	}
	const one, two, key1, key2, allRegistrants = "iqn.1993-08.org.debian:01:one", "iqn.1993-08.org.debian:01:two", 0x1234, 0x98765432, 8
	s1, s2 := login(one, 1), login(two, 2)
	if err := s1.Register(0, key1, true); err != nil {
		t.Fatal(err)
	}
	if err := s2.Register(0, key2, true); err != nil {
		t.Fatal(err)
	}
	if err := s1.Reserve(0, key1, allRegistrants); err != nil {
		t.Fatal(err)
	}
	a.Run(ctx, "cat /var/lib/esos/state/lio/pr/aptpl_*")
	_, _ = s1.Close(), s2.Close()
	a.reboot(ctx)
	if got := a.Run(ctx, "esos status"); !strings.Contains(got, "lio") {
		t.Fatalf("after the reboot:\n%s", got)
	}
	s1, s2 = login(one, 1), login(two, 2)
	keys, err := s1.Keys(0)
	if err != nil || len(keys) != 2 || !slices.Contains(keys, key1) || !slices.Contains(keys, key2) {
		t.Errorf("keys after the reboot: %#x, %v", keys, err)
	}
	if _, kind, held, err := s2.Holder(0); err != nil || !held || kind != allRegistrants {
		t.Errorf("reservation after the reboot: held %t, type %d, %v", held, kind, err)
	}
	// The holder goes on with what it registered before; a stranger is kept out.
	if err := s1.Write(0, 0, make([]byte, 512), 512, true); err != nil {
		t.Errorf("a registrant's write: %v", err)
	}
	s3 := login("iqn.1993-08.org.debian:01:three", 3)
	if err := s3.Write(0, 0, make([]byte, 512), 512, true); err == nil {
		t.Error("one without a registration writes to a reserved disk")
	}
}
