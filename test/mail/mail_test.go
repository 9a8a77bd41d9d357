package mail

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
)

// bootTimeout is far beyond what translated code on a busy machine takes.
const bootTimeout = 10 * time.Minute

// mailTime is how long a mail may take once there is something to tell.
const mailTime = 3 * time.Minute

// box is an appliance of a test.
type box struct {
	*appliance.Machine
	t      *testing.T
	lab    *appliance.Lab
	medium string
	data   string
	r      *appliance.Remote
}

// newBox makes an appliance with a medium of its own.
func newBox(ctx context.Context, t *testing.T) *box {
	t.Helper()
	dir, err := os.MkdirTemp(level.Cache(t), "mail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &box{t: t}
	if b.lab, err = appliance.Open(ctx, level.Root(t), dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	raw, err := b.lab.Medium(ctx, "medium")
	if err != nil {
		t.Fatal(err)
	}
	if b.medium, err = b.lab.Overlay(ctx, raw, "stick", 8<<30); err != nil {
		t.Fatal(err)
	}
	if b.data, err = b.lab.Blank("data", 1<<30); err != nil {
		t.Fatal(err)
	}
	return b
}

// boot starts it, and returns once it serves.
func (b *box) boot(ctx context.Context) {
	b.t.Helper()
	m, err := b.lab.Start(context.WithoutCancel(ctx), appliance.Options{
		Dir: level.ShortDir(b.t), Boot: vm.Drive{File: b.medium, Format: "qcow2", Bus: vm.USB}, Data: b.data,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Machine = m
	b.t.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.t.Error(err)
		}
		if b.t.Failed() {
			b.t.Logf("last lines on the console:\n%s", m.Console().Tail(60))
		}
	})
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if _, err := m.WaitServed(ctx); err != nil {
		b.t.Fatal(err)
	}
	b.login(ctx)
}

func (b *box) login(ctx context.Context) {
	b.t.Helper()
	r, err := b.SSH(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = r.Close() })
	b.r = r
}

// run runs a command, which must succeed.
func (b *box) run(ctx context.Context, command string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	out, err := b.r.Run(ctx, command)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// expect waits for a mail.
func (b *box) expect(ctx context.Context, c *Catcher, what string, match func(Mail) bool) Mail {
	b.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	m, err := c.Wait(ctx, match)
	if err != nil {
		out, _ := b.r.Run(context.WithoutCancel(ctx), "esos alert list; journalctl -b -u esos -n 40 --no-pager; ls -la /var/lib/esos/mail")
		b.t.Fatalf("%s: %v\n%s", what, err, out)
	}
	b.t.Logf("%s: %.1f s, %q to %v", what, time.Since(began).Seconds(), m.Subject, m.To)
	return m
}

// TestMail declares a mail server, and has everything arrive there that the
// appliance sends: a test mail, what a program sends to root, an alert and its
// end, and the mail of the next start, which tells no alert twice.
func TestMail(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Minute)
	defer cancel()
	c, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	b := newBox(ctx, t)
	b.boot(ctx)
	const admin = "admin@example.com"
	before := b.run(ctx, "cat /etc/msmtprc")
	b.run(ctx, fmt.Sprintf("esos mail set --to %s --from array@example.com --server %s --port %d --security none", admin, GuestAddress, c.Port()))

	out := b.run(ctx, "esos mail test --to me@example.com")
	if !strings.Contains(out, "me@example.com") {
		t.Errorf("esos mail test says %q", out)
	}
	if m := b.expect(ctx, c, "a test mail", Says("test", "sent by request of root")); strings.Join(m.To, " ") != "me@example.com" {
		t.Errorf("it went to %v", m.To)
	}

	// Programs of the machine mail root.
	b.run(ctx, "printf 'Subject: from a program\\n\\nhi there\\n' | sendmail root")
	if m := b.expect(ctx, c, "a program's mail", Says("hi there")); strings.Join(m.To, " ") != admin || m.From != "array@example.com" {
		t.Errorf("it went from %q to %v", m.From, m.To)
	}
	b.run(ctx, "mkdir -p /run/t && cat >/run/t/crontab <<'END'\n* * * * * echo said by cron\nEND\ncrontab /run/t/crontab")
	b.expect(ctx, c, "cron's mail", Says("said by cron"))
	b.run(ctx, "crontab -r")

	// The stick is pulled, and put back.
	if err := b.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	m := b.expect(ctx, c, "the alert of a stick that was pulled", mediumLost)
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-Id") == "" || strings.Join(m.To, " ") != admin {
		t.Errorf("to %v, header %v", m.To, m.Header)
	}
	b.run(ctx, "systemctl restart esos.service")
	time.Sleep(90 * time.Second)
	if n := count(c, mediumLost); n != 1 {
		t.Errorf("after a restart of the daemon the alert was mailed %d times", n)
	}
	if err := b.Plug(ctx, vm.Drive{File: b.medium, Format: "qcow2", Bus: vm.USB}); err != nil {
		t.Fatal(err)
	}
	b.expect(ctx, c, "its end", Says("OVER: medium.lost"))
	b.run(ctx, "esos sync")

	// Every start is mailed, once.
	if n := count(c, startup); n != 0 {
		t.Errorf("%d mails of a start before there was a mail server", n)
	}
	if err := b.Machine.Close(); err != nil { // a power cut
		t.Fatal(err)
	}
	b.boot(ctx)
	m = b.expect(ctx, c, "the mail of a start", startup)
	t.Logf("%s\n%s", m.Subject, m.Body)
	for _, want := range []string{"slot PRIMARY", "from memory", "Alerts: ", "Crash dumps: 0", "Targets: 1", appliance.Target + ": 1 LUNs", "Devices: 1"} {
		if !strings.Contains(m.Body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	b.run(ctx, "systemctl restart esos.service")
	time.Sleep(60 * time.Second)
	if n := count(c, startup); n != 1 {
		t.Errorf("%d mails of one start", n)
	}

	// Without the section the image's file is back.
	b.run(ctx, "esos mail delete")
	if after := b.run(ctx, "cat /etc/msmtprc"); after != before || b.run(ctx, "ls /etc/aliases 2>/dev/null || true") != "" {
		t.Errorf("left behind:\n%s", after)
	}
}

func mediumLost(m Mail) bool {
	return strings.Contains(m.Body, "CRITICAL: medium.lost (medium), since")
}

func startup(m Mail) bool { return strings.Contains(m.Subject, "System Startup - ") }

func count(c *Catcher, match func(Mail) bool) (n int) {
	for _, m := range c.Mails() {
		if match(m) {
			n++
		}
	}
	return n
}

// TestPassword: the password of the mail server is in no file that everybody
// can read, and in no log.
func TestPassword(t *testing.T) {
	level.Require(t, level.Full)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	b := newBox(ctx, t)
	b.boot(ctx)
	const secret = "seldom-heard-word"
	if _, err := b.r.Pipe(ctx, "esos mail set --to a@example.com --server mail.example.com --auth plain --user esos --password-file -", secret+"\n"); err != nil {
		t.Fatal(err)
	}
	if out := b.run(ctx, "stat -c '%U:%G %a' /etc/msmtprc"); strings.TrimSpace(out) != "root:msmtp 640" {
		t.Errorf("/etc/msmtprc is %s", out)
	}
	if out := b.run(ctx, "msmtp --pretend --debug a@example.com </dev/null 2>&1 | grep -A1 ^user"); !strings.Contains(out, "password = *") {
		t.Errorf("msmtp reads no password: %s", out)
	}
	if out := b.run(ctx, "runuser -u nobody -- grep -rl "+secret+" /etc /var /root /opt /home /tmp /run --exclude-dir=lower --exclude-dir=image 2>/dev/null || true"); out != "" {
		t.Errorf("everybody can read the password in\n%s", out)
	}
	if out := b.run(ctx, "grep -rl "+secret+" /var/log || true"); out != "" {
		t.Errorf("the password is in the logs\n%s", out)
	}
	if out := b.run(ctx, "grep -rl "+secret+" /etc"); !strings.Contains(out, "/etc/msmtprc") {
		t.Errorf("the password is not where it belongs: %q", out)
	}
	if out := b.run(ctx, "journalctl -b --no-pager | grep -c "+secret+" || true"); strings.TrimSpace(out) != "0" {
		t.Errorf("the journal has it %s times", out)
	}
}
