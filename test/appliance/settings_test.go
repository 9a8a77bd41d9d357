package appliance

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// TestSettingsKept: whatever kind of thing was changed outlives the plug being
// pulled: a document without any further word, and after `esos sync` a file
// edited by hand, a user, a deleted file. What identifies the machine stays.
func TestSettingsKept(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 4*bootTimeout)
	o := Options{Boot: overlay(ctx, t, 8<<30), Dir: level.ShortDir(t), Data: blank(t, 1<<30)}
	m := start(ctx, t, o)
	served(ctx, t, m)
	r := login(ctx, t, m)
	identity := "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id /etc/iscsi/initiatorname.iscsi"
	was := run(ctx, t, r, identity)
	run(ctx, t, r, `set -e
echo "10.0.0.1 edited" >>/etc/hosts
useradd -m -s /bin/bash by-hand
rm /etc/issue.net /etc/logrotate.d/rsyslog
mkdir -p /opt/vendor && echo tool >/opt/vendor/tool && chmod 4755 /opt/vendor/tool
esos sync
esos device create acknowledged --handler vdisk_nullio --size 1GiB`)
	if err := m.Close(); err != nil { // the plug, right after the acknowledgement
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		m = start(ctx, t, o)
		served(ctx, t, m)
		r = login(ctx, t, m)
		if got := run(ctx, t, r, identity); got != was {
			t.Errorf("the machine's identity was\n%s\nand is\n%s", was, got)
		}
		if out, err := r.Run(ctx, `set -ex
grep -q "10.0.0.1 edited" /etc/hosts
id by-hand
test -d /home/by-hand || test -d /var/home/by-hand || ls -d ~by-hand || true
test ! -e /etc/issue.net
test ! -e /etc/logrotate.d/rsyslog
test "$(stat -c %a /opt/vendor/tool)" = 4755
esos device list | grep acknowledged
esos alert list -o json | grep -vq settings.damaged`); err != nil {
			t.Errorf("not all is as it was: %v\n%s", err, out)
		}
	}
	check()
	m.Console().Forget()
	_, _ = r.Run(ctx, "systemctl poweroff") // the connection ends before the command does
	if err := m.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestStickPutBack pulls the stick under I/O and puts it back: no initiator
// notices, changes go on meanwhile, and are saved when it is back. Another
// stick takes its place when it is adopted.
func TestStickPutBack(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 3*bootTimeout)
	stick := overlay(ctx, t, 8<<30)
	m := start(ctx, t, Options{Boot: stick})
	served(ctx, t, m)
	r := login(ctx, t, m)
	v := verify(ctx, t, m)
	if err := m.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	waitAlert(ctx, t, r, "medium.lost", true)
	out, err := r.Run(ctx, "esos device create meanwhile --handler vdisk_nullio --size 1GiB 2>&1")
	if err != nil || !strings.Contains(out, "not saved") {
		t.Errorf("a change without the stick: %v\n%s\nwant it done, and said that it is not saved", err, out)
	}
	waitAlert(ctx, t, r, "medium.save_failed", true)
	if err := m.Plug(ctx, stick); err != nil {
		t.Fatal(err)
	}
	waitAlert(ctx, t, r, "medium.lost", false)
	waitAlert(ctx, t, r, "medium.save_failed", false)
	saved := run(ctx, t, r, "esos config generations")
	if !strings.Contains(saved, "the medium is back") {
		t.Errorf("what was changed meanwhile is not saved:\n%s", saved)
	}
	t.Logf("generations:\n%s", saved)

	// The stick is lost for good, and another one adopted.
	run(ctx, t, r, `set -e
disk=$(lsblk -npo PKNAME /dev/disk/by-partlabel/esos_conf)
echo 1 >/sys/block/$(basename $disk)/device/delete`)
	waitAlert(ctx, t, r, "medium.lost", true)
	other := strange(t)
	if err := m.Plug(ctx, other); err != nil {
		t.Fatal(err)
	}
	var adopted string
	for end := time.Now().Add(time.Minute); ; pause(ctx, t, time.Second) {
		if adopted, err = r.Run(ctx, "esos medium adopt --yes 2>&1"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("esos medium adopt: %v\n%s", err, adopted)
		}
	}
	t.Logf("%s", adopted)
	waitAlert(ctx, t, r, "medium.lost", false)
	if err := v.stop(); err != nil {
		t.Errorf("the initiator has an error: %v", err)
	}
	t.Log(v)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = start(ctx, t, Options{Boot: other})
	r = login(ctx, t, m)
	if got := run(ctx, t, r, "esos device list"); !strings.Contains(got, "meanwhile") {
		t.Errorf("booted from the adopted stick, what was changed before is not there:\n%s", got)
	}
}

// strange is another stick of the same image, as `mkesos write` makes it: with
// an identity of its own.
func strange(t *testing.T) vm.Drive {
	t.Helper()
	_, file := lab(t)
	image, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	const size = 8 << 30
	c, err := medium.NewCopy(image, "another stick", size)
	if err != nil {
		t.Fatal(err)
	}
	stick, err := os.Create(file + ".strange")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(stick.Name()) })
	if err := stick.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Extents() {
		if _, err := io.Copy(io.NewOffsetWriter(stick, e.At), io.NewSectionReader(c, e.At, e.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := stick.Close(); err != nil {
		t.Fatal(err)
	}
	return vm.Drive{File: stick.Name(), Bus: vm.USB}
}

// waitAlert waits until an alert is there, or is gone.
func waitAlert(ctx context.Context, t *testing.T, r *Remote, id string, there bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); find(alerts(ctx, t, r), id) != there; pause(ctx, t, time.Second) {
		if time.Now().After(end) {
			t.Fatalf("alert %s after two minutes: %v, want %v; there are %+v", id, !there, there, alerts(ctx, t, r))
		}
	}
}

// TestDamagedSettings damages what is saved in every way, and boots.
func TestDamagedSettings(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 8*bootTimeout)
	o := Options{Boot: overlay(ctx, t, 8<<30), Dir: level.ShortDir(t), Data: blank(t, 1<<30)}
	m := start(ctx, t, o)
	served(ctx, t, m)
	r := login(ctx, t, m)
	for _, tt := range []struct {
		name   string
		damage string // with the settings mounted here; $n is the newest generation
		lost   bool   // the newest generation is not good any more
		says   string
	}{
		{"archive", `f=generations/$n.tar.zst; printf X | dd of=$f bs=1 seek=$(($(stat -c %s $f)/2)) conv=notrunc 2>/dev/null`, true, "does not have the digest"},
		{"record", `sed -i 's/"reason":"/"reason":"#/' generations/$n.json`, true, "damaged"},
		{"current", `printf X | dd of=current bs=1 seek=20 conv=notrunc 2>/dev/null`, false, ""},
		{"slots", `printf X | dd of=slots bs=1 seek=20 conv=notrunc 2>/dev/null`, false, ""},
		{"full", `dd if=/dev/zero of=ballast bs=1M 2>/dev/null || true`, false, ""},
	} {
		run(ctx, t, r, "echo before >/etc/motd; esos sync; echo "+tt.name+" >/etc/motd; esos sync")
		run(ctx, t, r, `set -e
mkdir -p /run/damage; mount /dev/disk/by-partlabel/esos_conf /run/damage; cd /run/damage
rm -f ballast
n=$(ls generations/*.json | tail -1 | xargs basename -s .json)
`+tt.damage+`
cd /; umount /run/damage`)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		m = start(ctx, t, o)
		served(ctx, t, m)
		r = login(ctx, t, m)
		want := tt.name
		if tt.lost {
			want = "before"
		}
		if got := strings.TrimSpace(run(ctx, t, r, "cat /etc/motd")); got != want {
			t.Errorf("%s: the settings of %q came back, want %q", tt.name, got, want)
		}
		damaged := ""
		for _, a := range alerts(ctx, t, r) {
			if a.ID == "settings.damaged" {
				damaged = a.Message
			}
		}
		if (damaged != "") != tt.lost || !strings.Contains(damaged, tt.says) {
			t.Errorf("%s: alert settings.damaged says %q, want %q", tt.name, damaged, tt.says)
		}
		var b boot.Report
		if err := json.Unmarshal([]byte(run(ctx, t, r, "cat /run/esos/boot.json")), &b); err != nil {
			t.Fatal(err)
		}
		if b.Restored.From != persist.FromGeneration || len(b.Restored.Skipped) > 0 != tt.lost {
			t.Errorf("%s: the boot's report says %+v", tt.name, b.Restored)
		}
		t.Logf("%s: generation %d came back; skipped %v", tt.name, b.Restored.Generation.Number, b.Restored.Skipped)
	}
	// A full partition: what can be thrown away makes room, or it is said.
	run(ctx, t, r, "echo more >/etc/motd")
	if out, err := r.Run(ctx, "esos sync 2>&1"); err != nil && !strings.Contains(out, "are free on the medium") {
		t.Errorf("esos sync on a full partition: %v\n%s", err, out)
	} else {
		t.Logf("esos sync on a full partition: %v %s", err, out)
	}
}

// TestNoSettings: without a partition for settings, or with one that holds
// nothing that can be read, the appliance boots as from the factory and says
// so.
func TestNoSettings(t *testing.T) {
	level.Require(t, level.Full)
	for name, damage := range map[string]string{
		"destroyed":    "dd if=/dev/zero of=/dev/disk/by-partlabel/esos_conf bs=1M count=384 2>/dev/null; sync",
		"no partition": "disk=$(lsblk -npo PKNAME /dev/disk/by-partlabel/esos_conf); sgdisk -d 4 $disk; sync",
	} {
		t.Run(name, func(t *testing.T) {
			ctx := withTimeout(t, 2*bootTimeout)
			o := Options{Boot: overlay(ctx, t, 8<<30), Dir: level.ShortDir(t)}
			m := start(ctx, t, o)
			served(ctx, t, m)
			run(ctx, t, login(ctx, t, m), damage)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m = start(ctx, t, o)
			// Its key went with the settings: the console is all there is.
			for _, text := range []string{"no settings are restored", "This array is new", "login: "} {
				if err := m.WaitFor(ctx, text); err != nil {
					t.Fatalf("wait for %q: %v", text, err)
				}
			}
		})
	}
}
