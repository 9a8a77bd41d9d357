package accounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shadowSuite is the commands that change users, at work on the files of a
// directory. It knows as much of them as Machine uses.
type shadowSuite struct {
	t    *testing.T
	root string
	fail int // the command that fails, counted down
	half bool
	ran  []string // commands with their arguments, which everybody could see
}

var errCommand = errors.New("exit status 1")

func (s *shadowSuite) run(_ context.Context, input, name string, args ...string) error {
	s.ran = append(s.ran, name+" "+strings.Join(args, " "))
	if s.fail--; s.fail == 0 && !s.half {
		return errCommand
	}
	if err := s.do(input, name, args); err != nil {
		return err
	}
	if s.fail == 0 {
		return errCommand // it did what it should, and says that it did not
	}
	return nil
}

func (s *shadowSuite) do(input, name string, args []string) error {
	last := args[len(args)-1]
	value := func(flag string) (string, bool) {
		i := slices.Index(args, flag)
		if i < 0 {
			return "", false
		}
		return args[i+1], true
	}
	switch name {
	case "groupadd":
		gid, ok := value("--gid")
		if !ok {
			gid = "880"
		}
		if s.line("etc/group", last) != "" {
			return fmt.Errorf("groupadd: group '%s' already exists", last)
		}
		s.append("etc/group", last+":x:"+gid+":")
	case "useradd":
		uid, _ := value("--uid")
		comment, _ := value("--comment")
		if s.line("etc/passwd", last) != "" {
			return fmt.Errorf("useradd: user '%s' already exists", last)
		}
		s.append("etc/passwd", fmt.Sprintf("%s:x:%s:%s:%s:/home/%s:/bin/bash", last, uid, uid, comment, last))
		s.append("etc/shadow", last+":!:20000:0:99999:7:::")
	case "usermod":
		if comment, ok := value("--comment"); ok {
			s.edit("etc/passwd", last, func(f []string) { f[4] = comment })
		}
		if day, ok := value("--expiredate"); ok {
			s.edit("etc/shadow", last, func(f []string) { f[7] = day })
		}
		if groups, ok := value("--groups"); ok {
			s.members(last, strings.Split(groups, ","))
		}
	case "chpasswd":
		user, hash, _ := strings.Cut(strings.TrimSuffix(input, "\n"), ":")
		s.edit("etc/shadow", user, func(f []string) { f[1] = hash })
	case "userdel":
		for _, file := range []string{"etc/passwd", "etc/shadow", "etc/group"} {
			s.remove(file, last)
		}
		s.members(last, nil)
	case "systemd-tmpfiles":
		if s.read(strings.TrimPrefix(last, "/")) == "" {
			return errors.New("there is no such file")
		}
	case "loginctl", "kill":
	default:
		s.t.Errorf("the command %s is not expected", name)
	}
	return nil
}

func (s *shadowSuite) kill(_ string, uid int) error {
	return s.run(context.Background(), "", "kill", fmt.Sprint(uid))
}

func (s *shadowSuite) path(name string) string { return filepath.Join(s.root, name) }

func (s *shadowSuite) read(name string) string {
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		return ""
	}
	return string(text)
}

func (s *shadowSuite) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shadowSuite) append(name, line string) { s.write(name, s.read(name)+line+"\n") }

func (s *shadowSuite) line(file, name string) string {
	for line := range strings.Lines(s.read(file)) {
		if strings.HasPrefix(line, name+":") {
			return line
		}
	}
	return ""
}

func (s *shadowSuite) edit(file, name string, change func(f []string)) {
	var b strings.Builder
	for line := range strings.Lines(s.read(file)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if f[0] == name {
			change(f)
		}
		b.WriteString(strings.Join(f, ":") + "\n")
	}
	s.write(file, b.String())
}

func (s *shadowSuite) remove(file, name string) {
	s.write(file, strings.Replace(s.read(file), s.line(file, name), "", 1))
}

// members puts a user into these groups, and into no other.
func (s *shadowSuite) members(name string, groups []string) {
	var b strings.Builder
	for line := range strings.Lines(s.read("etc/group")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		var in []string
		for m := range strings.SplitSeq(f[3], ",") {
			if m != "" && m != name {
				in = append(in, m)
			}
		}
		if slices.Contains(groups, f[0]) {
			in = append(in, name)
		}
		f[3] = strings.Join(in, ",")
		b.WriteString(strings.Join(f, ":") + "\n")
	}
	s.write("etc/group", b.String())
}

func newMachine(t *testing.T) (Machine, *shadowSuite) {
	t.Helper()
	s := &shadowSuite{t: t, root: t.TempDir()}
	s.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nadmin:x:1000:1000:Administrator,,,:/home/admin:/bin/bash\n+nis\n")
	s.write("etc/shadow", "root:*:20000:0:99999:7:::\nadmin:$6$salt$hash:20000:0:99999:7:::\n")
	s.write("etc/group", "root:x:0:\nadm:x:4:admin\nsudo:x:27:admin\ndisk:x:6:admin\nadmin:x:1000:\n")
	s.write("root/.ssh/authorized_keys", "# none\n\nssh-ed25519 AAAA root@desk\n")
	if err := os.MkdirAll(s.path("home"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Machine{Root: s.root, Run: s.run, Kill: s.kill}, s
}

func ann() Account {
	return Account{Name: "ann", UID: 5001, FullName: "Ann Example", Hash: "$6$anns$hash", Groups: []string{Sudo, Logs, Users},
		Keys: []string{"ssh-ed25519 AAAA ann@desk", "ssh-ed25519 BBBB ann@sofa"}, Ours: true}
}

func get(t *testing.T, m Machine, name string) (Account, bool) {
	t.Helper()
	l, err := m.List()
	if err != nil {
		t.Fatal(err)
	}
	a, ok := l.Accounts[name]
	return a, ok
}

func same(a, b Account) string {
	return cmp.Diff(a, b, cmp.Transformer("hash", func(h Hash) string { return string(h) }))
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAccount(t *testing.T) {
	m, s := newMachine(t)
	ctx := t.Context()
	want := ann()
	ok(t, m.Put(ctx, want))
	if have, _ := get(t, m, "ann"); same(want, have) != "" {
		t.Errorf("made:\n%s", same(want, have))
	}
	if st, err := os.Stat(s.path("etc/ssh/authorized_keys.d/ann")); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("the keys' file: %v, %v", st, err)
	}
	if got := s.read("etc/tmpfiles.d/esos-user-ann.conf"); !strings.Contains(got, "\nd /home/ann 0700 ann ann -\n") {
		t.Errorf("homes are made by\n%s", got)
	}
	for _, edit := range []func(*Account){
		func(a *Account) { a.FullName = "" },
		func(a *Account) { a.Groups = []string{Users, Viewers} },
		func(a *Account) { a.Keys = a.Keys[1:] },
		func(a *Account) { a.Keys = nil },
		func(a *Account) { a.Expired = true },
		func(a *Account) { a.Hash = "*" },
		func(a *Account) { a.Expired = false },
	} {
		edit(&want)
		ok(t, m.Put(ctx, want))
		if have, _ := get(t, m, "ann"); same(want, have) != "" {
			t.Errorf("changed:\n%s", same(want, have))
		}
	}
	s.ran = nil
	ok(t, m.Put(ctx, want))
	if len(s.ran) != 1 || !strings.HasPrefix(s.ran[0], "systemd-tmpfiles ") {
		t.Errorf("nothing was to be changed, and ran: %q", s.ran)
	}
	want.Hash = ""
	ok(t, m.Put(ctx, want))
	if have, _ := get(t, m, "ann"); have.Hash != "*" {
		t.Error("a password that is left to passwd was changed")
	}
	ok(t, m.Remove(ctx, "ann", 5001))
	ok(t, m.Remove(ctx, "ann", 5001))
	if _, there := get(t, m, "ann"); there {
		t.Error("a user who was removed is there")
	}
	left, err := filepath.Glob(s.path("etc/*.d/*ann*"))
	ok(t, err)
	if keys, err := filepath.Glob(s.path("etc/ssh/*/ann")); err != nil || len(left)+len(keys) > 0 {
		t.Errorf("left: %v %v", left, keys)
	}
}

// A user whom the image or somebody made keeps what the document says nothing
// about: groups beside those of roles, and the password.
func TestTakeOver(t *testing.T) {
	m, s := newMachine(t)
	have, _ := get(t, m, "admin")
	want := Account{Name: "admin", UID: 1000, FullName: "Administrator", Hash: "$6$salt$hash", Groups: []string{Sudo, Logs}}
	if same(want, have) != "" {
		t.Errorf("before:\n%s", same(want, have))
	}
	ok(t, m.Put(t.Context(), Account{Name: "admin", UID: 1000, FullName: "Administrator", Groups: []string{Sudo, Logs, Users}, Ours: true}))
	want.Groups, want.Ours = []string{Sudo, Logs, Users}, true
	if have, _ := get(t, m, "admin"); same(want, have) != "" {
		t.Errorf("taken over:\n%s", same(want, have))
	}
	if got := s.line("etc/group", "disk"); got != "disk:x:6:admin\n" {
		t.Errorf("a group that is none of ours: %q", got)
	}
	if err := m.Put(t.Context(), Account{Name: "admin", UID: 5002}); err == nil || !strings.Contains(err.Error(), "1000") {
		t.Errorf("somebody else's name was taken: %v", err)
	}
	if err := m.Remove(t.Context(), "admin", 5002); err == nil {
		t.Error("somebody else was removed")
	}
}

func TestDemotedAndLockedAreLoggedOut(t *testing.T) {
	m, s := newMachine(t)
	want := ann()
	ok(t, m.Put(t.Context(), want))
	ended := func() bool {
		return slices.Contains(s.ran, "loginctl terminate-user ann") && slices.Contains(s.ran, "kill 5001")
	}
	want.Groups = []string{Users, Viewers}
	ok(t, m.Put(t.Context(), want))
	if slices.Contains(s.ran, "loginctl terminate-user ann") || !slices.Contains(s.ran, "kill 5001") {
		t.Errorf("who is demoted and has no session, but perhaps a connection: %q", s.ran)
	}
	s.write("run/systemd/users/5001", "")
	s.ran = nil
	want = ann()
	ok(t, m.Put(t.Context(), want))
	if slices.Contains(s.ran, "kill 5001") {
		t.Error("who was promoted was logged out")
	}
	want.Groups = []string{Users, Viewers}
	ok(t, m.Put(t.Context(), want))
	if !ended() {
		t.Error("who was demoted stays logged in, with the groups of before")
	}
	s.ran = nil
	want.Expired = true
	ok(t, m.Put(t.Context(), want))
	if !ended() {
		t.Error("who was locked stays logged in")
	}
	s.ran = nil
	ok(t, m.Remove(t.Context(), "ann", 5001))
	if !ended() {
		t.Error("who was removed stays logged in")
	}
}

// Each command fails once, before it did its work or after. The next Put, or
// Remove, finishes what was begun; until then the account is known as ours.
func TestFaults(t *testing.T) {
	locked := ann()
	locked.Expired, locked.Hash, locked.Groups, locked.FullName = true, "*", []string{Users, Viewers}, "A"
	for name, c := range map[string]struct {
		from []Account
		to   *Account // removed if nil
	}{
		"make":   {nil, new(ann())},
		"change": {[]Account{ann()}, &locked},
		"undo":   {[]Account{locked}, new(ann())},
		"remove": {[]Account{ann()}, nil},
	} {
		for _, half := range []bool{false, true} {
			for k := 1; ; k++ {
				m, s := newMachine(t)
				for _, a := range c.from {
					ok(t, m.Put(t.Context(), a))
				}
				s.write("run/systemd/users/5001", "")
				do := func() error {
					if c.to == nil {
						return m.Remove(t.Context(), "ann", 5001)
					}
					return m.Put(t.Context(), *c.to)
				}
				s.fail, s.half, s.ran = k, half, nil
				err := do()
				if s.fail > 0 {
					if k < 3 {
						t.Errorf("%s: only %q ran", name, s.ran)
					}
					break
				}
				if !errors.Is(err, errCommand) && !(half && err != nil) {
					t.Errorf("%s: %s failed, and the error is %v", name, s.ran[k-1], err)
				}
				if a, there := get(t, m, "ann"); there && !a.Ours {
					t.Errorf("%s: after %s failed, nobody knows whose the account is", name, s.ran[k-1])
				}
				failed := s.ran[k-1]
				if err := do(); err != nil {
					t.Errorf("%s: after %s failed, the next try: %v", name, failed, err)
				}
				loggedOut := half || strings.HasPrefix(failed, "systemd-tmpfiles") || slices.Contains(s.ran[k:], "kill 5001")
				if (name == "change" || name == "remove") && !loggedOut {
					t.Errorf("%s: after %s failed, the next try logs nobody out: %q", name, failed, s.ran)
				}
				have, there := get(t, m, "ann")
				if there != (c.to != nil) || there && same(*c.to, have) != "" {
					t.Errorf("%s: after %s failed and the next try:\n%s", name, s.ran[k-1], same(ann(), have))
				}
			}
		}
	}
}

func TestSecretsAreNoArguments(t *testing.T) {
	m, s := newMachine(t)
	ok(t, m.Put(t.Context(), ann()))
	if got := strings.Join(s.ran, "\n"); strings.Contains(got, "hash") {
		t.Errorf("everybody sees the hash in\n%s", got)
	}
	if got := fmt.Sprintf("%v %+v %#v %x", ann(), ann(), ann(), ann().Hash); strings.Contains(got, "anns") {
		t.Errorf("printed: %s", got)
	}
}

func TestList(t *testing.T) {
	m, s := newMachine(t)
	root, _ := get(t, m, "root")
	if !slices.Equal(root.Keys, []string{"ssh-ed25519 AAAA root@desk"}) || !root.CanLogIn() {
		t.Errorf("root: %+v", root)
	}
	day := time.Now().Unix() / (24 * 60 * 60)
	for expires, want := range map[string]bool{"": false, "1": true, fmt.Sprint(day): true, fmt.Sprint(day + 2): false, "soon": false} {
		s.edit("etc/shadow", "admin", func(f []string) { f[7] = expires })
		if a, _ := get(t, m, "admin"); a.Expired != want {
			t.Errorf("an account that expires on day %q: expired is %v", expires, a.Expired)
		}
	}
	s.write("etc/passwd", "x:x:y:0::/:/bin/sh\n")
	if _, err := m.List(); err == nil || !strings.Contains(err.Error(), "/etc/passwd") {
		t.Errorf("a number that is none: %v", err)
	}
	ok(t, os.Remove(s.path("etc/shadow")))
	if _, err := m.List(); err == nil {
		t.Error("without /etc/shadow")
	}
}

func TestHome(t *testing.T) {
	m, s := newMachine(t)
	s.write("home/ann/a", "1234")
	s.write("home/ann/b/c", "12")
	s.write("home/bob/kept", "x")
	ok(t, os.Symlink(s.path("home/bob"), s.path("home/ann/elsewhere")))
	ok(t, os.Symlink(s.path("home/bob"), s.path("home/eve")))
	if bytes, files, err := m.Home("ann"); bytes != 6 || files != 2 || err != nil {
		t.Errorf("%d bytes in %d files, %v", bytes, files, err)
	}
	if _, files, err := m.Home("nobody"); files != 0 || err != nil {
		t.Errorf("no home: %d files, %v", files, err)
	}
	for _, name := range []string{"ann", "ann", "eve"} {
		ok(t, m.RemoveHome(name))
	}
	for _, bad := range []string{"", ".", "..", "../etc", "/etc", "bob/kept"} {
		if err := m.RemoveHome(bad); err == nil {
			t.Errorf("the home of %q was deleted", bad)
		}
	}
	if s.read("home/bob/kept") != "x" || s.read("etc/passwd") == "" {
		t.Error("what a link leads to was deleted")
	}
}
