package upgrade

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/slot"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestRefused: an upgrade that cannot end well is refused up front, in words
// that say why, and no file on the medium is another one afterwards. With an
// empty one, what is refused could also be what never works: the last one works.
func TestRefused(t *testing.T) {
	level.Require(t, level.Full)
	strange, err := slot.GenerateKey("a stranger's key")
	if err != nil {
		t.Fatal(err)
	}
	good := variant(t, "9.9.2-good", nil)
	foreign := signed(t, "9.9.2-foreign", nil, strange)
	short := filepath.Join(t.TempDir(), "short.upgrade")
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(short, data[:len(data)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.upgrade")
	data[len(data)/2] ^= 4
	if err := os.WriteFile(damaged, data, 0o600); err != nil {
		t.Fatal(err)
	}
	base := stand.Serve(t, good, foreign, short, damaged)

	ctx, s := newStand(t, 3, false)
	before := medium(ctx, s)
	try := func(command, why string) {
		t.Helper()
		out, err := s.Remote.Run(ctx, command)
		if err == nil {
			t.Errorf("%s went well:\n%s", command, out)
			return
		}
		if !strings.Contains(out, why) || !strings.Contains(out, "nothing was changed") {
			t.Errorf("%s says %q, want %q", command, out, why)
		}
		t.Logf("%s", strings.TrimSpace(out))
		if after := medium(ctx, s); after != before {
			t.Errorf("%s changed the medium:\n%s\nbefore:\n%s", command, after, before)
		}
	}
	try("esos upgrade --yes "+stand.At(base, foreign), "no trusted key signed it")
	try("esos upgrade --yes "+stand.At(base, short), "is not complete")
	s.Run(ctx, fmt.Sprintf("curl -sSf -o /tmp/short.upgrade %[1]s || wget -q -O /tmp/short.upgrade %[1]s || python3 -c \"import urllib.request; urllib.request.urlretrieve('%[1]s', '/tmp/short.upgrade')\"", stand.At(base, short)))
	try("esos upgrade --yes /tmp/short.upgrade", "is not complete")
	s.Run(ctx, "rm /tmp/short.upgrade")
	try("esos upgrade --yes "+stand.At(base, damaged), "SHA-256")
	try("esos upgrade --yes /usr/bin/esos", "no upgrade of ESOS")
	s.Run(ctx, `set -e
mkdir -p /run/fill; mount /dev/disk/by-partlabel/esos_root /run/fill
dd if=/dev/zero of=/run/fill/full bs=1M 2>/dev/null || true
umount /run/fill`)
	full := before
	before = medium(ctx, s)
	if full == before {
		t.Fatal("the medium was not filled")
	}
	// The slot that is to be written makes room; what is missing is more.
	s.Run(ctx, `set -e
mount /dev/disk/by-partlabel/esos_root /run/fill
rm /run/fill/SECONDARY/root.squashfs
dd if=/dev/zero of=/run/fill/full2 bs=1M 2>/dev/null || true
umount /run/fill`)
	before = medium(ctx, s)
	try("esos upgrade --yes "+stand.At(base, good), "too little room")
	s.Run(ctx, "mount /dev/disk/by-partlabel/esos_root /run/fill; rm /run/fill/full /run/fill/full2; umount /run/fill")
	t.Logf("esos slot list, with a slot that is damaged:\n%s", s.Run(ctx, "esos slot list 2>&1"))
	if out, err := s.Remote.Run(ctx, "esos rollback"); err == nil || !strings.Contains(out, "could not be booted") {
		t.Errorf("esos rollback to a damaged slot: %v, %s", err, out)
	}
	s.Run(ctx, "esos upgrade --yes "+stand.At(base, good))
	if st := stateOf(ctx, s); st.Trial != "SECONDARY" {
		t.Errorf("the good one is not tried: %+v", st)
	}
	s.Off() // the plug
	s.On(ctx)
	s.Served(ctx)
	if r := report(ctx, s); r.Slot != "SECONDARY" || r.Version != "9.9.2-good" {
		t.Errorf("the good one does not run: %+v", r)
	}
	confirmed(ctx, s, "SECONDARY")
}
