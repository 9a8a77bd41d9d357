package mail

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/test/mail"
)

// TestProgramsMail has msmtp itself, where there is one, read what this layer
// writes and send with it.
func TestProgramsMail(t *testing.T) {
	program, err := exec.LookPath("msmtp")
	if err != nil {
		t.Skip("there is no msmtp here; the appliance's own is tried by test/mail")
	}
	write := func(m config.Mail) (file string) {
		t.Helper()
		dir := t.TempDir()
		f := Render(m)
		file, aliases := filepath.Join(dir, "msmtprc"), filepath.Join(dir, "aliases")
		text := strings.Replace(f.Config, "aliases /etc/aliases", "aliases "+aliases, 1)
		text = strings.Replace(text, "syslog LOG_MAIL\n", "", 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(aliases, []byte(f.Aliases), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	// What it makes of a user it shows; a password is written the same way.
	for _, user := range []string{"esos", "first last", `a"b`, `"quoted"`, `end"`, "#no comment", "a # b", `back\slash`, "größer", "'single'", " begins with a space", "ends with one "} {
		cmd := exec.Command(program, "-C", write(config.Mail{To: []string{"a@example.com"}, Server: "mail.example.com", Auth: config.AuthPlain, User: user, Password: "x"}), "--pretend", "--debug", "a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "\nuser = "+user+"\n") {
			t.Errorf("msmtp reads the user %q as %q: %v", user, lineOf(string(out), "user = "), err)
		}
	}
	c, err := mail.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	file := write(config.Mail{To: []string{"admin@example.com", "second@example.com"}, From: "array@example.com", Server: "127.0.0.1", Port: c.Port(), Security: config.MailPlainText})
	cmd := exec.Command(program, "-C", file, "root")
	cmd.Stdin = strings.NewReader("Subject: disk\n\nfailing\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("msmtp at port %s: %v\n%s", strconv.Itoa(c.Port()), err, out)
	}
	got := c.Mails()
	if len(got) != 1 || got[0].From != "array@example.com" || len(got[0].To) != 2 || !slices.Contains(got[0].To, "admin@example.com") || !slices.Contains(got[0].To, "second@example.com") || got[0].Body != "failing\n" {
		t.Errorf("%+v", got)
	}
}

func lineOf(text, begins string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, begins) {
			return l
		}
	}
	return text
}
