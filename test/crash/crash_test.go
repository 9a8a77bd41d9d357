package crash

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/crash"
	"github.com/esos-project/esos/internal/shelf"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/mail"
	"github.com/esos-project/esos/test/stand"
)

// mark is written to the kernel's log before it crashes: it has to be found
// in what was saved.
const mark = "esos-test: the last words"

// TestPanic crashes the kernel: what it left is saved and can be read, and the
// machine serves again, and tells.
func TestPanic(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	box := mail.Catch(t)
	m := start(ctx, t, 2048)
	m.Run(ctx, box.Setting("admin@example.com"))
	crashes(ctx, m)
	d := check(ctx, m)
	if _, err := box.Wait(stand.Timeout(t, 3*time.Minute), mail.Says("crash.dump", d.Name)); err != nil {
		t.Error(err)
	}
	if d.SHA256 == "" || d.Slot != "PRIMARY" || !strings.Contains(d.Name, d.Kernel) {
		t.Errorf("the dump's description: %+v", d)
	}
	m.Run(ctx, "esos crash ack")
	m.WaitNoAlert(ctx, "crash.dump")
	if out := m.Run(ctx, "esos crash export latest - | tar -tv"); !strings.Contains(out, d.Name+"/vmcore") || !strings.Contains(out, d.Name+"/dmesg.txt") {
		t.Errorf("exported:\n%s", out)
	}
	m.Run(ctx, "esos crash delete "+d.Name)
	var list []crash.Dump
	if m.Into(ctx, &list, "esos crash list -o json"); len(list) != 0 {
		t.Errorf("deleted, and still there: %+v", list)
	}
}

// TestPanicOneGiB: 128 MiB for the crash kernel are enough, and the rest is
// for the array.
func TestPanicOneGiB(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	m := start(ctx, t, 1024)
	crashes(ctx, m)
	check(ctx, m)
	t.Logf("memory:\n%s", m.Run(ctx, "free -m"))
}

// TestPanicFull: a log partition that is full drops what is oldest, and the
// machine comes back.
func TestPanicFull(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 4*stand.BootTimeout)
	m := start(ctx, t, 2048)
	m.Run(ctx, "systemctl start esos-medium-grow.service") // or waits for the end of it
	const first, second, archive = "dump-20200101T000000Z-6.1", "dump-20200201T000000Z-6.1", "logs-20200101T000000Z.tar.zst"
	t.Logf("the log partition before:\n%s", m.Run(ctx, `set -e
mkdir -p /mnt/logs && mount $(blkid -L esos_logs) /mnt/logs && cd /mnt/logs
mkdir -p logs crash/`+first+` crash/`+second+`
echo first >crash/`+first+`/dmesg.txt; echo second >crash/`+second+`/dmesg.txt
fallocate -l 1M logs/`+archive+`
fallocate -l $(( $(stat -f -c '%a * %S' .) / 2 )) crash/`+first+`/vmcore
fallocate -l $(( $(stat -f -c '%a * %S' .) - 8192 )) crash/`+second+`/vmcore
df -k . ; cd /; umount /mnt/logs`))
	crashes(ctx, m)
	d := check(ctx, m)
	var list []crash.Dump
	m.Into(ctx, &list, "esos crash list -o json")
	if len(list) != 3 || list[0].Name != first || list[1].Name != second || list[2].Name != d.Name {
		t.Fatalf("dumps: %+v", list)
	}
	out := m.Run(ctx, "esos crash show "+first+"; esos crash show "+second)
	if out != "first\nsecond\n" {
		t.Errorf("the messages of the dumps that made room: %q", out)
	}
	if exported := m.Run(ctx, "esos crash export "+second+" - | tar -tv"); !strings.Contains(exported, "vmcore") {
		t.Errorf("a newer dump was dropped, though the oldest made room enough:\n%s", exported)
	}
	if exported := m.Run(ctx, "esos crash export "+first+" - | tar -tv"); strings.Contains(exported, "vmcore") {
		t.Errorf("the oldest dump is whole:\n%s", exported)
	}
	if out := m.Run(ctx, "esos logs list"); !strings.Contains(out, archive) {
		t.Errorf("an archive of logs was dropped before the dumps:\n%s", out)
	}
}

// crash crashes the kernel, and waits until the machine serves again.
func crashes(ctx context.Context, m *stand.Stand) {
	m.T.Helper()
	m.Until(ctx, "cat /sys/kernel/kexec_crash_loaded", "1")
	m.T.Logf("reserved: %s", m.Run(ctx, "cat /run/esos/crash.json; free -m; systemctl show -p ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic esos-crash-load.service"))
	m.Console().Forget()
	began := time.Now()
	// Nobody ends the connection to a kernel that is gone.
	m.Run(ctx, "echo '"+mark+"' >/dev/kmsg; (sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
	if err := m.WaitFor(ctx, "the kernel crashed: saving what it left"); err != nil {
		m.T.Fatal(err)
	}
	m.T.Logf("the crash kernel's esos-init runs after %.1f s", time.Since(began).Seconds())
	if err := m.WaitFor(ctx, "esos-init: restarting"); err != nil {
		m.T.Fatal(err)
	}
	m.T.Logf("saved after %.1f s", time.Since(began).Seconds())
	m.Served(ctx)
	m.T.Logf("served again %.1f s after the crash", time.Since(began).Seconds())
}

// check looks at the newest dump, which has to be whole and readable, and at
// the alert about it. It returns the dump.
func check(ctx context.Context, m *stand.Stand) crash.Dump {
	m.T.Helper()
	m.Until(ctx, "cat /sys/kernel/kexec_crash_loaded", "1")
	alerts := m.Until(ctx, "esos alert list -o json", `"crash.dump"`)
	var d crash.Dump
	m.Into(ctx, &d, "esos crash show latest -o json")
	m.T.Logf("dump: %+v", d)
	if !d.Complete || d.Error != "" || !strings.Contains(d.Reason, "sysrq triggered crash") || d.Size == 0 {
		m.T.Fatalf("the dump is not whole: %+v", d)
	}
	if !strings.Contains(alerts, d.Name) {
		m.T.Errorf("no alert names the dump %s:\n%s", d.Name, alerts)
	}
	if text := m.Run(ctx, "esos crash show latest"); !strings.Contains(text, mark) || !strings.Contains(text, "sysrq: Trigger a crash") {
		m.T.Errorf("the messages:\n%s", text)
	}
	// The memory image as a person with a bug report would read it.
	text := m.Run(ctx, `set -e
mkdir -p /run/dump && cd /run/dump && esos crash export latest - | tar -x
makedumpfile --dump-dmesg `+d.Name+`/`+shelf.CoreFile+` text >/dev/null && cat text; cd / && rm -r /run/dump`)
	if !strings.Contains(text, mark) || !strings.Contains(text, "Kernel panic - not syncing: sysrq triggered crash") {
		m.T.Errorf("makedumpfile's messages of the memory image:\n%s", text)
	}
	return d
}
