package mail

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// mailTime is how long a mail may take once there is something to tell.
const mailTime = 3 * time.Minute

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// expect waits for a mail.
func expect(ctx context.Context, b *stand.Stand, c *Catcher, what string, match func(Mail) bool) Mail {
	b.T.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	m, err := c.Wait(ctx, match)
	if err != nil {
		out, _ := b.Remote.Run(context.WithoutCancel(ctx), "esos alert list; journalctl -b -u esos -n 40 --no-pager; ls -la /var/lib/esos/mail")
		b.T.Fatalf("%s: %v\n%s", what, err, out)
	}
	b.T.Logf("%s: %.1f s, %q to %v", what, time.Since(began).Seconds(), m.Subject, m.To)
	return m
}

// TestMail declares a mail server, and has everything arrive there that the
// appliance sends: a test mail, what a program sends to root, an alert and its
// end, and the mail of the next start, which tells no alert twice.
func TestMail(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 40*time.Minute)
	c := Catch(t)
	b := shared.New(ctx, t, appliance.Options{})
	b.Boot(ctx)
	const admin = "admin@example.com"
	before := b.Run(ctx, "cat /etc/msmtprc")
	b.Run(ctx, c.Setting(admin))

	out := b.Run(ctx, "esos mail test --to me@example.com")
	if !strings.Contains(out, "me@example.com") {
		t.Errorf("esos mail test says %q", out)
	}
	if m := expect(ctx, b, c, "a test mail", Says("test", "sent by request of root")); strings.Join(m.To, " ") != "me@example.com" {
		t.Errorf("it went to %v", m.To)
	}

	// Programs of the machine mail root.
	b.Run(ctx, "printf 'Subject: from a program\\n\\nhi there\\n' | sendmail root")
	if m := expect(ctx, b, c, "a program's mail", Says("hi there")); strings.Join(m.To, " ") != admin || m.From != "array@example.com" {
		t.Errorf("it went from %q to %v", m.From, m.To)
	}
	b.Run(ctx, "mkdir -p /run/t && cat >/run/t/crontab <<'END'\n* * * * * echo said by cron\nEND\ncrontab /run/t/crontab")
	expect(ctx, b, c, "cron's mail", Says("said by cron"))
	b.Run(ctx, "crontab -r")

	// The stick is pulled, and put back.
	if err := b.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	m := expect(ctx, b, c, "the alert of a stick that was pulled", mediumLost)
	if m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Message-Id") == "" || strings.Join(m.To, " ") != admin {
		t.Errorf("to %v, header %v", m.To, m.Header)
	}
	b.Run(ctx, "systemctl restart esos.service")
	time.Sleep(90 * time.Second)
	if n := count(c, mediumLost); n != 1 {
		t.Errorf("after a restart of the daemon the alert was mailed %d times", n)
	}
	if err := b.Plug(ctx, b.Options.Boot); err != nil {
		t.Fatal(err)
	}
	expect(ctx, b, c, "its end", Says("OVER: medium.lost"))
	b.Run(ctx, "esos sync")

	// Every start is mailed, once.
	if n := count(c, startup); n != 0 {
		t.Errorf("%d mails of a start before there was a mail server", n)
	}
	b.Off()
	b.Boot(ctx)
	m = expect(ctx, b, c, "the mail of a start", startup)
	t.Logf("%s\n%s", m.Subject, m.Body)
	for _, want := range []string{"slot PRIMARY", "from memory", "Alerts: ", "Crash dumps: 0", "Targets: 1", appliance.Target + ": 1 LUNs", "Devices: 1"} {
		if !strings.Contains(m.Body, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	b.Run(ctx, "systemctl restart esos.service")
	time.Sleep(60 * time.Second)
	if n := count(c, startup); n != 1 {
		t.Errorf("%d mails of one start", n)
	}

	// Without the section the image's file is back.
	b.Run(ctx, "esos mail delete")
	if after := b.Run(ctx, "cat /etc/msmtprc"); after != before || b.Run(ctx, "ls /etc/aliases 2>/dev/null || true") != "" {
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
	ctx := stand.Timeout(t, 20*time.Minute)
	b := shared.New(ctx, t, appliance.Options{})
	b.Boot(ctx)
	const secret = "seldom-heard-word"
	if _, err := b.Remote.Pipe(ctx, "esos mail set --to a@example.com --server mail.example.com --auth plain --user esos --password-file -", secret+"\n"); err != nil {
		t.Fatal(err)
	}
	if out := b.Run(ctx, "stat -c '%U:%G %a' /etc/msmtprc"); strings.TrimSpace(out) != "root:msmtp 640" {
		t.Errorf("/etc/msmtprc is %s", out)
	}
	if out := b.Run(ctx, "msmtp --pretend --debug a@example.com </dev/null 2>&1 | grep -A1 ^user"); !strings.Contains(out, "password = *") {
		t.Errorf("msmtp reads no password: %s", out)
	}
	if out := b.Run(ctx, "runuser -u nobody -- grep -rl "+secret+" /etc /var /root /opt /home /tmp /run --exclude-dir=lower --exclude-dir=image 2>/dev/null || true"); out != "" {
		t.Errorf("everybody can read the password in\n%s", out)
	}
	if out := b.Run(ctx, "grep -rl "+secret+" /var/log || true"); out != "" {
		t.Errorf("the password is in the logs\n%s", out)
	}
	if out := b.Run(ctx, "grep -rl "+secret+" /etc"); !strings.Contains(out, "/etc/msmtprc") {
		t.Errorf("the password is not where it belongs: %q", out)
	}
	if out := b.Run(ctx, "journalctl -b --no-pager | grep -c "+secret+" || true"); strings.TrimSpace(out) != "0" {
		t.Errorf("the journal has it %s times", out)
	}
}
