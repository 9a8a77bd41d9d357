package lio

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/kernfs/liofake"
)

// byHand makes what targetcli makes: a disk on a file, and a target of its own
// with an address of its own.
func (b *bench) byHand() (file, target string) {
	b.Helper()
	file, target = filepath.Join(b.opt.DataDir, "theirs.img"), "iqn.2026-11.org.example:theirs"
	b.ok(os.WriteFile(file, make([]byte, 1<<20), 0o600))
	at, tpg := "core/fileio_9/theirs", "iscsi/"+target+"/tpgt_1"
	for _, dir := range []string{"core/fileio_9", at} {
		b.ok(b.kernel.Mkdir(dir))
	}
	b.ok(b.kernel.WriteFile(at+"/control", "fd_dev_name="+file+",fd_dev_size=1048576,fd_buffered_io=1"))
	b.ok(b.kernel.WriteFile(at+"/enable", "1"))
	b.ok(b.kernel.WriteFile(at+"/wwn/vpd_unit_serial", "0123456789abcdef"))
	for _, dir := range []string{"iscsi/" + target, tpg, tpg + "/np/127.0.0.8:3260", tpg + "/lun/lun_0", tpg + "/acls/" + bob, tpg + "/acls/" + bob + "/lun_0"} {
		b.ok(b.kernel.Mkdir(dir))
	}
	b.ok(b.kernel.Symlink(at, tpg+"/lun/lun_0/x"))
	b.ok(b.kernel.Symlink(tpg+"/lun/lun_0", tpg+"/acls/"+bob+"/lun_0/x"))
	b.ok(b.kernel.WriteFile(tpg+"/enable", "1"))
	return file, target
}

// TestForeign: what somebody else set up is told as such, has nothing to do
// with our portals, and outlives us.
func TestForeign(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	_, target := b.byHand()
	theirs := func() (text string) {
		for line := range strings.Lines(b.kernel.Dump()) {
			if strings.Contains(line, "theirs") {
				text += line
			}
		}
		return text
	}
	before := theirs()
	s, err := b.Observe(t.Context())
	b.ok(err)
	if diff := cmp.Diff(map[string]bool{"device/theirs": true, "target/" + target: true}, s.Foreign); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
	if len(s.ISCSI.Portals) != 1 || s.ISCSI.Portals[0].Address != "127.0.0.1:3260" {
		t.Errorf("portals: %+v", s.ISCSI.Portals)
	}
	b.ok(b.PutPortal(t.Context(), config.Portal{Name: "second", Address: "127.0.0.2:3260"}))
	b.ok(b.DeletePortal(t.Context(), "second"))
	b.ok(b.DeletePortal(t.Context(), "127.0.0.8-3260"))
	if diff := cmp.Diff(before, theirs()); diff != "" {
		t.Errorf("a change of our portals changed theirs (-want +got):\n%s", diff)
	}
	b.ok(b.Stop(t.Context()))
	if diff := cmp.Diff(before, theirs()); diff != "" {
		t.Errorf("our end changed theirs (-want +got):\n%s", diff)
	}
}

// TestForeignDeviceIsTakenOver: a disk of somebody else's that is declared just
// as it is is not made anew, which its initiators would feel.
func TestForeignDeviceIsTakenOver(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	file, _ := b.byHand()
	s, err := b.Observe(t.Context())
	b.ok(err)
	var d config.Device
	for _, have := range s.Devices {
		if have.Name == "theirs" {
			d = have
		}
	}
	d.Identity.T10ID = "made-up"
	b.kernel.Requests()
	d.Size = 2 << 20
	b.ok(b.PutDevice(t.Context(), d))
	if asked := b.kernel.Requests(); len(asked) != 2 || !strings.Contains(asked[0], "alias") || !strings.Contains(asked[1], "fd_dev_size=2097152") {
		t.Errorf("the kernel was asked for %q", asked)
	}
	if fi, err := os.Stat(file); err != nil || fi.Size() != 2<<20 {
		t.Errorf("the file: %v, %v", fi, err)
	}
	if s, err = b.Observe(t.Context()); err != nil || s.Foreign["device/theirs"] {
		t.Errorf("still foreign: %v, %v", s.Foreign, err)
	}
}

// TestAddressInOneTarget: an address that somebody opened in one of two targets
// is no portal, which would be in both.
func TestAddressInOneTarget(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
	b.ok(b.PutTarget(t.Context(), config.Target{Name: iqn + "2"}))
	address := func() string {
		s, err := b.Observe(t.Context())
		b.ok(err)
		for _, p := range s.ISCSI.Portals {
			if p.Name == "127.0.0.9-3260" {
				return p.Address
			}
		}
		return "none"
	}
	for _, c := range []struct{ tpg, want string }{
		{tpg1, "127.0.0.9:3260" + engine.NotEverywhere},
		{"iscsi/" + iqn + "2/tpgt_1", "127.0.0.9:3260"},
	} {
		b.ok(b.kernel.Mkdir(c.tpg + "/np/127.0.0.9:3260"))
		if got := address(); got != c.want {
			t.Errorf("in %s: %s, want %s", c.tpg, got, c.want)
		}
	}
	b.ok(b.DeletePortal(t.Context(), "127.0.0.9-3260"))
	if got := address(); got != "none" {
		t.Errorf("closed: %s", got)
	}
}

// TestCredentialsByHand: who logs in with what is told as it can be declared.
func TestCredentialsByHand(t *testing.T) {
	b := newBench(t, liofake.Options{})
	b.serve()
	b.ok(b.PutTarget(t.Context(), config.Target{Name: iqn, Auth: config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "twelve-bytes-and-more"}}}}))
	b.group("g", []string{alice, bob}, config.LUN{LUN: 0, Device: "d0"})
	users := func() config.Auth {
		s, err := b.Observe(t.Context())
		b.ok(err)
		return s.Targets[0].Auth
	}
	auth := func(initiator string) string { return tpg1 + "/acls/" + initiator + "/auth/" }
	b.ok(b.kernel.WriteFile(auth(alice)+"password", "another-one-of-alice"))
	if diff := cmp.Diff(config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "another-one-of-alice", Initiators: []string{alice}}, {Name: "u", Secret: "twelve-bytes-and-more", Initiators: []string{bob}}}}, users()); diff != "" {
		t.Errorf("one of two (-want +got):\n%s", diff)
	}
	b.ok(b.kernel.WriteFile(auth(bob)+"password", "another-one-of-alice"))
	if diff := cmp.Diff(config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "another-one-of-alice"}}}, users()); diff != "" {
		t.Errorf("both alike (-want +got):\n%s", diff)
	}
	b.ok(b.kernel.WriteFile(auth(alice)+"userid_mutual", "array"))
	if got := users(); got.Mutual == nil || !strings.Contains(got.Mutual.Name, engine.NotEverywhere) {
		t.Errorf("a mutual name for one of two: %+v", got)
	}
}
