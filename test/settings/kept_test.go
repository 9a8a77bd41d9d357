package settings

import (
	"strconv"
	"strings"
	"testing"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// identity prints what no two machines share.
const identity = "cat /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id; grep ^InitiatorName= /etc/iscsi/initiatorname.iscsi"

// TestKept: whatever kind of thing was changed outlives the plug being pulled:
// a document without any further word, and after `esos sync` a file edited by
// hand, a user, a deleted file. What identifies the machine stays.
func TestKept(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx := stand.Timeout(t, 4*stand.BootTimeout)
	a := shared.New(ctx, t, appliance.Options{})
	a.Boot(ctx)
	was := a.Run(ctx, identity)
	a.Run(ctx, `set -e
echo "10.0.0.1 edited" >>/etc/hosts
useradd -m -s /bin/bash by-hand
rm /etc/issue.net
rm -r /etc/logrotate.d
mkdir -p /opt/vendor && echo tool >/opt/vendor/tool && chmod 4755 /opt/vendor/tool
esos sync
esos device create acknowledged --handler vdisk_nullio --size 1GiB`)
	a.Off() // right after the acknowledgement
	check := func() {
		t.Helper()
		if got := a.Run(ctx, identity); got != was {
			t.Errorf("the machine's identity was\n%s\nand is\n%s", was, got)
		}
		if out, err := a.Remote.Run(ctx, `set -ex
grep -q "10.0.0.1 edited" /etc/hosts
id by-hand
test ! -e /etc/issue.net
test ! -e /etc/logrotate.d
test "$(stat -c %a /opt/vendor/tool)" = 4755
esos device list | grep acknowledged`); err != nil {
			t.Errorf("not all is as it was: %v\n%s", err, out)
		}
		if al, there := a.Alert(ctx, "settings.damaged"); there {
			t.Errorf("settings count as damaged: %+v", al)
		}
	}
	a.Boot(ctx)
	check()
	if l, err := level.Of(); err != nil || l < level.Full {
		return
	}
	a.Run(ctx, "mkdir /etc/logrotate.d; echo '# mine' >/etc/logrotate.d/mine; echo by the shutdown >/etc/motd")
	a.Reboot(ctx)
	if got := a.Run(ctx, "cat /etc/motd; ls /etc/logrotate.d; rm -r /etc/logrotate.d"); got != "by the shutdown\nmine\n" {
		t.Errorf("what was changed before an orderly reboot: %q", got)
	}
	check()
}

// TestRestore goes back to older settings, to those of the factory, and to
// those of a backup that was kept elsewhere.
func TestRestore(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 5*stand.BootTimeout)
	a := shared.New(ctx, t, appliance.Options{})
	a.Boot(ctx)
	was := a.Run(ctx, identity)
	a.Run(ctx, "esos device create old --handler vdisk_nullio --size 1GiB; echo old >/etc/motd")
	a.Run(ctx, "esos sync")
	old := newest(ctx, a)
	a.Run(ctx, "esos device create new --handler vdisk_nullio --size 1GiB; echo new >/etc/motd")

	// Called off, and asked for again: no save is in its way.
	back := "esos config restore --yes " + strconv.Itoa(old.Number)
	a.Run(ctx, back+"; esos config restore --undo")
	a.Run(ctx, back)
	if out, err := a.Remote.Run(ctx, "esos sync 2>&1"); err != nil || !strings.Contains(out, "not saved any more") {
		t.Errorf("esos sync while other settings wait: %v %s", err, out)
	}
	if out := a.Run(ctx, "esos device create lost --handler vdisk_nullio --size 1GiB 2>&1"); !strings.Contains(out, "not saved") {
		t.Errorf("a change while other settings wait does not say that it is lost: %s", out)
	}
	a.WaitAlert(ctx, "settings.held", "")
	if al, there := a.Alert(ctx, "medium.save_failed"); there {
		t.Errorf("what was asked for is an alert: %+v", al)
	}
	a.Reboot(ctx)
	if got := a.Run(ctx, "cat /etc/motd; esos device list"); !strings.HasPrefix(got, "old\n") || strings.Contains(got, "new") || strings.Contains(got, "lost") {
		t.Errorf("back at the older settings:\n%s", got)
	}
	if al, there := a.Alert(ctx, "settings.held"); there {
		t.Errorf("after the reboot: %+v", al)
	}
	if got := a.Run(ctx, identity); got != was {
		t.Errorf("the machine's identity was\n%s\nand is\n%s", was, got)
	}

	// The factory, and the way back from a file.
	file := a.Run(ctx, "esos backup /root/settings && stat -c %a /root/settings && base64 /root/settings && rm /root/settings")
	mode, backup, _ := strings.Cut(file[strings.Index(file, "\n")+1:], "\n")
	if mode != "600" {
		t.Errorf("a backup has the mode %s", mode)
	}
	a.Run(ctx, "esos config factory-reset --yes")
	a.Reboot(ctx)
	got := a.Run(ctx, identity+"; cat /etc/motd; esos device list")
	for _, line := range append(strings.Split(strings.TrimSpace(was), "\n"), "old") {
		if strings.Contains(got, "\n"+line) || strings.HasPrefix(got, line) {
			t.Errorf("after a factory reset %q is still there:\n%s", line, got)
		}
	}
	a.Pipe(ctx, "base64 -d >/root/settings && esos config restore --yes /root/settings", backup)
	a.Reboot(ctx)
	if got := a.Run(ctx, identity+"; cat /etc/motd; esos device list"); !strings.HasPrefix(got, was+"old\n") || !strings.Contains(got, "\nold") {
		t.Errorf("after a backup was brought back:\n%s", got)
	}
	t.Logf("generations:\n%s", a.Run(ctx, "esos config generations"))
}
