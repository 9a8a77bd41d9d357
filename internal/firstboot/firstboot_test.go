package firstboot

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/password"
)

var update = flag.Bool("update", false, "write the golden files anew")

// passwords is a /etc/shadow as systemd-sysusers leaves it in the image.
const passwords = "root:*:20000:0:99999:7:::\nsshd:!*:20000::::::\nadmin:!*:20000:0:99999:7:::\nesos-target:!*:20000::::::\n"

// machine is one that has never booted.
func machine(t *testing.T) (Machine, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	m := Machine{Root: t.TempDir(), Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))}
	for name, text := range map[string]string{
		"etc/shadow":                    passwords,
		"etc/iscsi/initiatorname.iscsi": "GenerateName=yes\n",
		"etc/ssh/sshd_config":           "",
	} {
		ok(t, os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
		ok(t, os.WriteFile(m.path(name), []byte(text), 0o640))
	}
	ok(t, os.Chmod(m.path("etc/shadow"), 0o640))
	return m, &log
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m Machine) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(m.path(name))
	ok(t, err)
	return string(text)
}

// files are all files of the machine by their names.
func (m Machine) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	ok(t, filepath.WalkDir(m.Root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(m.Root, path)
			all[rel] = m.read(t, rel)
		}
		return err
	}))
	return all
}

// TestPrepare makes everything once, and nothing a second time.
func TestPrepare(t *testing.T) {
	m, log := machine(t)
	f, err := m.Prepare()
	ok(t, err)

	for _, kind := range []string{"ed25519", "ecdsa"} {
		name := "etc/ssh/ssh_host_" + kind + "_key"
		private, err := ssh.ParsePrivateKey([]byte(m.read(t, name)))
		ok(t, err)
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.read(t, name+".pub")))
		ok(t, err)
		if !bytes.Equal(private.PublicKey().Marshal(), public.Marshal()) {
			t.Errorf("%s and its .pub are no pair", name)
		}
		if st, err := os.Stat(m.path(name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
	if name := m.read(t, initiatorFile); !regexp.MustCompile(`(?m)^InitiatorName=iqn\.2026-11\.org\.esos-project:host\.[0-9a-f]{16}$`).MatchString(name) {
		t.Errorf("initiator name: %q", name)
	}
	id := strings.TrimSpace(m.read(t, "etc/nvme/hostid"))
	if nqn := m.read(t, "etc/nvme/hostnqn"); nqn != "nqn.2014-08.org.nvmexpress:uuid:"+id+"\n" || len(id) != 36 {
		t.Errorf("NVMe host %q, name %q", id, nqn)
	}

	if !f.console || f.api || !regexp.MustCompile(`^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$`).MatchString(f.password) {
		t.Errorf("first password %+v", f)
	}
	s, err := m.readShadow()
	ok(t, err)
	admin, err := s.user("admin")
	ok(t, err)
	if d, err := shacrypt.Decode(admin[1]); err != nil || !d.Match(f.password) || d.Match(f.password+"x") {
		t.Errorf("the hash %q is not of the password (%v)", admin[1], err)
	}
	admin[1], admin[2] = "!*", "20000"
	if d := cmp.Diff(passwords, string(s.bytes())); d != "" {
		t.Errorf("something else changed in /etc/shadow (-want +got):\n%s", d)
	}
	if st, err := os.Stat(m.path("etc/shadow")); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("shadow: %v, %v", st.Mode(), err)
	}
	if text := m.read(t, issue); !strings.Contains(text, f.password) {
		t.Errorf("the consoles show %q", text)
	}
	if st, err := os.Stat(m.path(issue)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("everybody can read the password: %v, %v", st.Mode(), err)
	}
	if strings.Contains(log.String(), f.password) || strings.Contains(log.String(), "$6$") {
		t.Errorf("the log has a secret: %s", log.String())
	}

	before := m.files(t)
	again, err := m.Prepare()
	ok(t, err)
	if d := cmp.Diff(before, m.files(t)); d != "" || again.password != "" {
		t.Errorf("a second run made %+v and changed (-before +after):\n%s", again, d)
	}
}

// TestPrepareMendsHalves: what a power cut left is completed.
func TestPrepareMendsHalves(t *testing.T) {
	m, _ := machine(t)
	const id = "7d9f0a2e-1111-4222-8333-444455556666"
	ok(t, m.write("etc/nvme/hostnqn", []byte("nqn.2014-08.org.nvmexpress:uuid:"+id+"\n"), 0o644))
	ok(t, m.write("etc/ssh/ssh_host_ecdsa_key", nil, 0o600))
	ok(t, m.write(initiatorFile, []byte("InitiatorName=iqn.1993-08.org.debian:01:mine\n"), 0o600))
	_, err := m.Prepare()
	ok(t, err)
	if got := m.read(t, "etc/nvme/hostid"); got != id+"\n" {
		t.Errorf("host identifier %q is not its name's", got)
	}
	if _, err := ssh.ParsePrivateKey([]byte(m.read(t, "etc/ssh/ssh_host_ecdsa_key"))); err != nil {
		t.Errorf("an empty key stayed: %v", err)
	}
	if got := m.read(t, initiatorFile); !strings.Contains(got, "debian:01:mine") {
		t.Errorf("the initiator name was replaced: %q", got)
	}
}

func TestPrepareTellsWhatFails(t *testing.T) {
	m, _ := machine(t)
	ok(t, os.WriteFile(m.path("etc/shadow"), []byte("root:*:20000:0:99999:7:::\n"), 0o600))
	_, err := m.Prepare()
	if err == nil || !strings.Contains(err.Error(), "no user admin") {
		t.Errorf("an image without the user: %v", err)
	}
	if _, err := os.Stat(m.path("etc/ssh/ssh_host_ed25519_key")); err != nil {
		t.Errorf("the rest was not made: %v", err)
	}
}

// TestHash compares with what openssl passwd -6 makes.
func TestHash(t *testing.T) {
	d, err := shacrypt.Decode("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")
	if err != nil || !d.Match("Hello world!") {
		t.Errorf("the vector does not match: %v", err)
	}
	h, err := hashPassword("Hello world!")
	if err != nil || !regexp.MustCompile(`^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$`).MatchString(h) {
		t.Errorf("hash %q, %v: not as crypt(5) has it", h, err)
	}
}

// TestPasswordsAreLocked: somebody who runs passwd at the same time is waited for.
func TestPasswordsAreLocked(t *testing.T) {
	m, _ := machine(t)
	// Locks of fcntl are a process's: another one has to hold it.
	unlock, err := m.lockPasswords()
	ok(t, err)
	f, err := os.Open(m.path(shadowLock))
	ok(t, err)
	defer f.Close()
	l := syscall.Flock_t{Type: syscall.F_WRLCK}
	const ofdGetLock = 36 // F_OFD_GETLK sees a process's own locks, too
	ok(t, syscall.FcntlFlock(f.Fd(), ofdGetLock, &l))
	if l.Type != syscall.F_WRLCK {
		t.Errorf("the file of locks is free (type %d)", l.Type)
	}
	unlock()
}

func TestIssue(t *testing.T) {
	for name, f := range map[string]First{
		"console":  {password: "abcd-efgh-jkmn-pqrs", console: true},
		"api":      {password: "abcd-efgh-jkmn-pqrs", api: true, reach: `https://\4:8443`, print: "sha256:0123"},
		"both":     {password: "abcd-efgh-jkmn-pqrs", console: true, api: true, reach: `https://\4:8443`, print: "sha256:0123"},
		"deaf":     {password: "abcd-efgh-jkmn-pqrs", console: true, api: true},
		"only-tls": {password: "abcd-efgh-jkmn-pqrs", console: true, reach: "https://192.0.2.1:8443", print: "sha256:0123"},
	} {
		file := filepath.Join("testdata", name+".issue")
		got := f.issue()
		if *update {
			ok(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		ok(t, err)
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestReach(t *testing.T) {
	for url, want := range map[string]string{
		"https://[::]:8443":      `https://\4:8443`,
		"https://0.0.0.0:8443":   `https://\4:8443`,
		"https://192.0.2.1:8443": "https://192.0.2.1:8443",
		"":                       "",
		"https://":               "https://",
	} {
		if got := reach(url); got != want {
			t.Errorf("reach(%q) = %q, want %q", url, got, want)
		}
	}
}

// TestSettle takes the password off the consoles when it was changed, and not before.
func TestSettle(t *testing.T) {
	m, log := machine(t)
	_, err := m.Prepare()
	ok(t, err)
	if gone, err := m.Settle(); gone || err != nil {
		t.Errorf("before the first boot is over: %v, %v", gone, err)
	}
	ok(t, m.Finish())
	if !m.Done() {
		t.Error("it is not done")
	}
	if gone, err := m.Settle(); gone || err != nil {
		t.Errorf("nobody changed it: %v, %v", gone, err)
	}
	if _, err := os.Stat(m.path(issue)); err != nil {
		t.Error(err)
	}
	ok(t, m.setPassword("root", "another user's")) // touches the file, not the password
	if gone, err := m.Settle(); gone || err != nil {
		t.Errorf("another's was changed: %v, %v", gone, err)
	}
	ok(t, m.setPassword("admin", "their own"))
	if gone, err := m.Settle(); !gone || err != nil {
		t.Errorf("after it was changed: %v, %v", gone, err)
	}
	if _, err := os.Stat(m.path(issue)); !os.IsNotExist(err) {
		t.Errorf("the console still shows it: %v", err)
	}
	if gone, err := m.Settle(); gone || err != nil {
		t.Errorf("a second time: %v, %v", gone, err)
	}
	// The user may be removed as well, and the next boot wants no password.
	ok(t, m.announce(First{}))
	ok(t, os.WriteFile(m.path(shadowFile), []byte("root:*:20000:0:99999:7:::\n"), 0o640))
	if gone, err := m.Settle(); !gone || err != nil {
		t.Errorf("after the user was removed: %v, %v", gone, err)
	}
	if f, err := m.Prepare(); err != nil || f.password != "" {
		t.Errorf("the next boot without the user: %v", err)
	}
	if strings.Contains(log.String(), "their own") {
		t.Error("the log has the password")
	}
}

// array serves the API of an array on a Unix socket.
func array(t *testing.T, seed *config.Document) *client.Client {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	a, err := appliance.Open(t.Context(), appliance.Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: quiet, Retry: time.Hour,
		Adopt: func() (*config.Document, error) { return seed, nil }})
	ok(t, err)
	s := api.New(api.Options{Appliance: a, Log: quiet, Version: "test", CertDir: t.TempDir()})
	dir, err := os.MkdirTemp("", "esos-fb-") // t.TempDir's may be too long for a socket
	ok(t, err)
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	ok(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	following, served := make(chan error, 1), make(chan error, 1)
	go func() { following <- s.Follow(ctx) }()
	go func() { served <- s.ServeUnix(ctx, l) }()
	c, err := client.New(client.Options{Socket: path})
	ok(t, err)
	t.Cleanup(func() {
		c.Close()
		cancel()
		for _, err := range []error{<-following, <-served, a.Close(), os.RemoveAll(dir)} {
			if err != nil && !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}
	})
	return c
}

// loopback has the API of an array without a document listen where a test may.
func loopback(d *config.Document) *config.Document {
	d.API.Listen = "127.0.0.1:0"
	return d
}

func empty() *config.Document { return &config.Document{Version: config.Version, Name: "esos"} }

func TestOpenAPI(t *testing.T) {
	withUser := loopback(empty())
	hash, err := password.Hash("somebody's own")
	ok(t, err)
	withUser.API.Users = []config.APIUser{{Name: "ann", Role: "admin", Password: config.Secret(hash)}}
	for name, c := range map[string]struct {
		doc     *config.Document
		seed    bool // a document came with the medium
		console bool // the console has a password already
		listen  string
		users   int
		shown   []string
	}{
		"its own document":          {doc: empty(), listen: "127.0.0.1:0", users: 1, shown: []string{"over SSH and in the API", "https://127.0.0.1:", "sha256:"}},
		"a seed without users":      {doc: loopback(empty()), seed: true, listen: "127.0.0.1:0", users: 1, shown: []string{"in the API", "https://127.0.0.1:"}},
		"a seed that does not ask":  {doc: empty(), seed: true, listen: "", users: 1, shown: []string{"in the API (once api.listen"}},
		"a seed with users":         {doc: withUser, seed: true, listen: "127.0.0.1:0", users: 1, shown: []string{"console and over SSH with"}},
		"a console with a password": {doc: loopback(empty()), seed: true, console: true, listen: "127.0.0.1:0", users: 1, shown: []string{"logs in in the API with"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, log := machine(t)
			if c.seed {
				ok(t, m.write(Seed, []byte("version: 1\n"), 0o600))
			}
			if c.console {
				ok(t, m.setPassword("admin", "chosen before"))
			}
			cl := array(t, c.doc)
			f, err := m.Prepare()
			ok(t, err)
			ok(t, m.OpenAPI(t.Context(), cl, &f))
			now, err := cl.Document(t.Context(), true)
			ok(t, err)
			doc, _, err := config.Parse("document", now.Text)
			ok(t, err)
			if doc.API.Listen != c.listen || len(doc.API.Users) != c.users {
				t.Errorf("listens at %q, users %+v", doc.API.Listen, doc.API.Users)
			}
			text := m.read(t, issue)
			for _, want := range c.shown {
				if !strings.Contains(text, want) {
					t.Errorf("the consoles do not show %q:\n%s", want, text)
				}
			}
			if f.api {
				if d, err := argon2.Decode(string(doc.API.Users[0].Password)); err != nil || !d.Match(f.password) {
					t.Errorf("the document's hash is not of the password (%v)", err)
				}
				if strings.Contains(string(now.Text), f.password) {
					t.Error("the document has the password itself")
				}
			}
			if strings.Contains(log.String(), f.password) {
				t.Error("the log has the password")
			}
			ok(t, m.OpenAPI(t.Context(), cl, &f)) // again: nothing to do
			if again, err := cl.Document(t.Context(), true); err != nil || again.ETag != now.ETag {
				t.Errorf("a second time changed the document (%v)", err)
			}
		})
	}
}

// TestOpenAPIWaits for a daemon that is slow, but not for ever.
func TestOpenAPIWaits(t *testing.T) {
	m, _ := machine(t)
	c, err := client.New(client.Options{Socket: filepath.Join(m.Root, "none")})
	ok(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	f := First{}
	if err := m.OpenAPI(ctx, c, &f); err == nil || !strings.Contains(err.Error(), "journalctl -u esos") {
		t.Errorf("without a daemon: %v", err)
	}
}
