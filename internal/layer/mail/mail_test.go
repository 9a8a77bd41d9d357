package mail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/plan"
)

// etc is a machine whose files are in a directory, and whose next write fails
// if it says so.
type etc struct {
	msmtp.Machine
	fail error
}

func (e *etc) Write(f msmtp.Files) error {
	if e.fail != nil {
		return e.fail
	}
	return e.Machine.Write(f)
}

func newEtc(t *testing.T) *etc {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/msmtprc"), []byte("# somebody's own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &etc{Machine: msmtp.Machine{Root: dir}}
}

// planned observes and plans.
func planned(t *testing.T, e *etc, declared, before *config.Document) *plan.Plan {
	t.Helper()
	return layertest.Planned(t, Layer{Machine: e}, declared, before)
}

func TestLayer(t *testing.T) {
	e := newEtc(t)
	none := &config.Document{}
	if p := planned(t, e, none, none); !p.Empty() {
		t.Errorf("a machine's own settings are touched: %+v", p.Steps)
	}
	doc := &config.Document{Mail: config.Mail{To: []string{"a@example.com", "b@example.com"}, Server: "mail.example.com", Auth: config.AuthPlain, User: "esos", Password: `pass "word#`}}
	p := planned(t, e, doc, none)
	if len(p.Steps) != 1 || !strings.Contains(p.Steps[0].Sentence, "mail.example.com") {
		t.Fatalf("steps: %+v", p.Steps)
	}
	for _, c := range p.Steps[0].Changes {
		if strings.Contains(c.New, "pass") && c.Field == "password" && c.New != config.Hidden {
			t.Errorf("the plan shows the password: %+v", c)
		}
	}
	e.fail = errors.New("disk full")
	if err := p.Steps[0].Do(t.Context(), nil); err == nil {
		t.Error("a write that failed is no error")
	}
	e.fail = nil
	if err := p.Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(e.Root, "etc/msmtprc"))
	if err != nil || st.Mode().Perm()&0o007 != 0 {
		t.Errorf("everybody can read the password: %v, %v", st.Mode(), err)
	}
	if p := planned(t, e, doc, doc); !p.Empty() {
		t.Errorf("the same document again: %+v", p.Steps)
	}
	if err := p.Steps[0].Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, err := e.Read(); err != nil || f.Config != "# somebody's own\n" || f.Aliases != "" {
		t.Errorf("undone: %+v, %v", f, err)
	}
	if err := p.Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	gone := planned(t, e, none, doc)
	if len(gone.Steps) != 1 || gone.Steps[0].Action != plan.Delete {
		t.Fatalf("without the section: %+v", gone.Steps)
	}
	if err := gone.Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if f, err := e.Read(); err != nil || strings.Contains(f.Config, "password") || f.Aliases != "" {
		t.Errorf("after it: %+v, %v", f, err)
	}
	// Without a password programs of all users may send.
	doc.Mail.Auth, doc.Mail.User, doc.Mail.Password = "", "", ""
	if err := planned(t, e, doc, none).Steps[0].Do(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(e.Root, "etc/msmtprc")); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("without a password: %v, %v", st.Mode(), err)
	}
}

func TestRender(t *testing.T) {
	for name, tt := range map[string]struct {
		m    config.Mail
		want string
	}{
		"starttls by default": {config.Mail{To: []string{"a@b.c"}, Server: "mail.example.com"}, "tls on\ntls_starttls on\naccount default\nhost mail.example.com\nport 587\nfrom esos@%H\nauth off\n"},
		"tls with all": {config.Mail{To: []string{"a@b.c"}, From: "array@b.c", Server: "::1", Security: config.MailTLS, CA: "/etc/ca pem", Auth: config.AuthLogin, User: "me", Password: `a "b`},
			"tls on\ntls_starttls off\ntls_trust_file \"/etc/ca pem\"\naccount default\nhost ::1\nport 465\nfrom array@b.c\nallow_from_override off\nauth login\nuser me\npassword \"a \"b\"\n"},
		"in the clear": {config.Mail{To: []string{"a@b.c"}, Server: "10.0.0.1", Security: config.MailPlainText, Port: 2525}, "tls off\ntls_starttls off\naccount default\nhost 10.0.0.1\nport 2525\nfrom esos@%H\nauth off\n"},
	} {
		if got := Render(tt.m); got.Config != mark+"defaults\nsyslog LOG_MAIL\naliases /etc/aliases\n"+tt.want {
			t.Errorf("%s:\n%s", name, got.Config)
		}
	}
}

// TestNowhere: without the section the file is the image's again.
func TestNowhere(t *testing.T) {
	image, err := os.ReadFile("../../image/rootfs/etc/msmtprc")
	if err != nil {
		t.Fatal(err)
	}
	if string(image) != Nowhere {
		t.Errorf("the image has\n%s\nand this layer leaves\n%s", image, Nowhere)
	}
	if f := Render(config.Mail{}); f.Config != Nowhere || f.Aliases != "" {
		t.Errorf("nothing declared: %+v", f)
	}
}
