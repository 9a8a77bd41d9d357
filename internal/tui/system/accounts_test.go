package system

import (
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	secret  = "correct horse"
	annsKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEEgdGVzdCBrZXkgb2YgQW5uIEEgdGVzdCBrZXkgb2Yg ann@desk"
	bobsKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFNvbWUga2V5IG9mIEJvYiBTb21lIGtleSBvZiBCb2Ig bob@desk"
)

// opens says whether a hash in the document is of a password.
func opens(hash config.Secret, typed string) bool {
	d, err := shacrypt.Decode(string(hash))
	return err == nil && d.Match(typed)
}

// leaks fails if a secret is in what the array keeps of its changes, or shown.
func leaks(t *testing.T, a *apitest.Array, c *tuitest.Console, secret string) {
	t.Helper()
	all, err := a.Appliance.Revisions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if strings.Contains(r.Why, secret) {
			t.Errorf("revision %d tells the secret: %s", r.Number, r.Why)
		}
	}
	if strings.Contains(c.Text(), secret) {
		t.Errorf("the secret is shown:\n%s", c.Text())
	}
}

func withUsers(doc *config.Document) {
	doc.Users = []config.Account{{Name: "ann", Role: "admin", FullName: "Ann Example", Password: config.NoPassword, SSHKeys: []string{annsKey}},
		{Name: "bob", Role: "viewer", Password: config.NoPassword, Locked: true}}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	t.Run("S6 add user", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Add User")
		golden(c, "user_add")
		c.Type("Bob")
		c.Shows("is no login name")
		c.Field("bob")
		c.Type(" ")
		c.Golden("choose_role")
		c.Escape()
		choose(c, "operator")
		c.Field("Bob Example")
		c.Type("short")
		c.Shows("at least 8 characters")
		c.Field(secret)
		c.Type("other")
		c.Shows("not the same as above")
		c.Field(secret)
		c.Type("-----BEGIN OPENSSH PRIVATE KEY-----")
		c.Shows("private key")
		for range len("-----BEGIN OPENSSH PRIVATE KEY-----") {
			c.Press(tcell.KeyBackspace2)
		}
		c.Type(bobsKey)
		tab(c, 1)
		leaks(t, a, c, secret)
		c.Enter()
		c.Wait("esos account create bob --role operator")
		leaks(t, a, c, secret)
		c.CarryOut()
		leaks(t, a, c, secret)
		u, err := a.Document().FindUser("bob")
		if err != nil {
			t.Fatal(err)
		}
		if u.Role != "operator" || u.FullName != "Bob Example" || !opens(u.Password, secret) || !slices.Equal(u.SSHKeys, []string{bobsKey}) {
			t.Errorf("bob is %+v", u)
		}
		open(t, c, "Add User")
		c.Type("bob")
		c.Shows("bob is there already")
		c.Field("eve")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Shows("a password is needed, or an SSH key")
	})
	t.Run("S7 delete user", func(t *testing.T) {
		t.Parallel()
		a := apitest.New(t, apitest.Options{})
		change(t, a, withUsers)
		c := tuitest.New(t, tuitest.Options{Client: a.Client, User: "ann"})
		open(t, c, "Delete User")
		golden(c, "user_delete_pick")
		c.Type("root")
		c.Enter()
		c.Shows("It cannot be chosen: root is the system itself")
		c.Escape()
		c.Type("ann")
		c.Enter()
		c.Shows("It cannot be chosen: You are logged in as ann")
		c.Escape()
		c.Type("bob")
		c.Enter()
		golden(c, "user_delete")
		tab(c, 1)
		c.Enter()
		c.Wait("stays until the next reboot")
		c.CarryOut()
		if _, err := a.Document().FindUser("bob"); err == nil {
			t.Error("bob is still there")
		}
		if n := a.Machine.Home("bob"); n != 3 {
			t.Errorf("%d files are left of bob's, want all 3", n)
		}
	})
	t.Run("S7 delete user with files", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		change(t, a, withUsers)
		open(t, c, "Delete User")
		c.Type("bob")
		c.Enter()
		c.Type(" ")
		c.Golden("choose_files_in_home")
		c.Escape()
		choose(c, "deleted")
		c.Enter()
		c.Wait("/home/bob (3 files")
		c.Destroy("user/bob")
		if n := a.Machine.Home("bob"); n != 0 {
			t.Errorf("%d files are left of bob's", n)
		}
	})
	t.Run("S8 change password", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		change(t, a, withUsers)
		open(t, c, "Change Password")
		c.Type("root")
		c.Enter()
		c.Shows("It cannot be chosen: root is the system itself")
		c.Escape()
		c.Type("ann")
		c.Enter()
		golden(c, "password")
		tab(c, 1)
		c.Type("short")
		c.Shows("at least 8 characters")
		c.Field(secret)
		c.Type("correct")
		c.Shows("not the same as above")
		c.Field(secret)
		c.Enter()
		c.Wait("esos account password ann")
		c.CarryOut()
		leaks(t, a, c, secret)
		if u, err := a.Document().FindUser("ann"); err != nil || !opens(u.Password, secret) || u.FullName != "Ann Example" {
			t.Errorf("ann is %+v, %v", u, err)
		}
		open(t, c, "Change Password")
		c.Type("ann")
		c.Enter()
		c.Type(" ")
		tab(c, 1)
		c.Enter()
		c.Wait("esos account password ann --none")
		c.CarryOut()
		if u, _ := a.Document().FindUser("ann"); u.Password != config.NoPassword {
			t.Error("ann still has a password")
		}
	})
	t.Run("S8 the image's administrator", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Change Password")
		c.Golden("change_password")
		c.Type("admin")
		c.Enter()
		tab(c, 1)
		c.Field(secret)
		c.Field(secret)
		c.Enter()
		c.Wait("Take over user admin")
		c.CarryOut()
		if u, err := a.Document().FindUser("admin"); err != nil || !opens(u.Password, secret) || u.Role != "admin" {
			t.Errorf("admin is %+v, %v", u, err)
		}
	})
	t.Run("the list", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		open(t, c, "Users")
		c.Wait("by passwd")
		golden(c, "users_none")
		change(t, a, withUsers)
		c.Wait("Ann Example")
		golden(c, "users")
		down(c, 1)
		c.Press(tcell.KeyHome)
		c.Type("e")
		c.Wait("User ann")
		golden(c, "user_edit")
		tab(c, 1)
		c.Field("Ann Other")
		tab(c, 1)
		c.Enter()
		c.CarryOut()
		c.Wait("Ann Other")
		if u, err := a.Document().FindUser("ann"); err != nil || u.FullName != "Ann Other" || u.Role != "admin" {
			t.Errorf("ann is %+v, %v", u, err)
		}
		c.Press(tcell.KeyEnd)
		c.Type("d")
		c.Wait("root is the system itself")
		c.Golden("not")
		c.Enter()
		c.Press(tcell.KeyUp)
		c.Type("d")
		c.Wait("not in the array's document yet")
	})
	t.Run("SSH keys", func(t *testing.T) {
		t.Parallel()
		a, c := array(t, apitest.Options{})
		change(t, a, withUsers)
		open(t, c, "SSH Keys")
		c.Golden("ssh_keys")
		c.Type("ann")
		c.Enter()
		c.Wait("SHA256:")
		golden(c, "keys")
		c.Type("a")
		c.Wait("Add SSH Keys")
		c.Type("no key")
		c.Shows("is no public key")
		for range len("no key") {
			c.Press(tcell.KeyBackspace2)
		}
		c.Type(bobsKey)
		golden(c, "keys_add")
		tab(c, 1)
		c.Enter()
		c.CarryOut()
		c.Wait("bob@desk")
		c.Type("d")
		c.CarryOut()
		c.Gone("ann@desk")
		if u, err := a.Document().FindUser("ann"); err != nil || !slices.Equal(u.SSHKeys, []string{bobsKey}) {
			t.Errorf("ann is %+v, %v", u, err)
		}
	})
}
