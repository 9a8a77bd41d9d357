// Package accounts is the gate to the machine's users: who may log in, with
// what, and in which groups they are.
package accounts

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Account is a user of the machine.
type Account struct {
	Name     string
	UID      int
	FullName string
	// Hash is what /etc/shadow has for the password. To Put, an empty one
	// leaves what is there.
	Hash Hash
	// Expired refuses all logins, with whatever.
	Expired bool
	// Groups are those of ManagedGroups that it is in, in their order.
	Groups []string
	// Keys are the lines of its file in KeyDir.
	Keys []string
	// Ours says that Put made it, or took it over.
	Ours bool
}

// Hash is a password's hash, which nothing prints.
type Hash string

// Format hides it from every verb.
func (h Hash) Format(f fmt.State, _ rune) {
	if h != "" {
		_, _ = f.Write([]byte("(secret)"))
	}
}

// Opens says whether there is a password that it is the hash of.
func (h Hash) Opens() bool { return strings.HasPrefix(string(h), "$") }

// CanLogIn says whether the account has a way in.
func (a Account) CanLogIn() bool { return !a.Expired && (a.Hash.Opens() || len(a.Keys) > 0) }

// Has says whether the account is in a group.
func (a Account) Has(group string) bool { return slices.Contains(a.Groups, group) }

// Groups that roles are made of. In the others of an account Put changes
// nothing.
const (
	Sudo      = "sudo"          // may become root
	Logs      = "adm"           // reads the logs
	Users     = "esos"          // may connect to the daemon's socket
	Operators = "esos-operator" // for rules of the administrators' own
	Viewers   = "esos-viewer"
)

// ManagedGroups are the groups that Put puts accounts into and takes them out
// of.
func ManagedGroups() []string { return []string{Sudo, Logs, Users, Operators, Viewers} }

// Machine is where the users are. The zero value is this one.
type Machine struct {
	Root string // of its file system; / when empty
	// Run runs a command with an input; host.Run if nil.
	Run func(ctx context.Context, input, name string, args ...string) error
	// Kill kills all that runs as a user, or logs one in; host.KillUser if nil.
	Kill func(name string, uid int) error
}

// KeyDir has a file of keys for each account (sshd_config(5),
// AuthorizedKeysFile). It is root's: writing there follows no link that a user
// laid, as in a home directory it could.
const KeyDir = "/etc/ssh/authorized_keys.d"

// recordDir is where a file for each account of ours has systemd-tmpfiles make
// its home at boot: /home is in memory. The files are how ours are told from
// others, too.
const recordDir = "/etc/tmpfiles.d"

func record(name string) string { return filepath.Join(recordDir, "esos-user-"+name+".conf") }

func (m Machine) path(name string) string { return filepath.Join("/", m.Root, name) }

func (m Machine) run(ctx context.Context, input, name string, args ...string) error {
	if m.Run != nil {
		return m.Run(ctx, input, name, args...)
	}
	return host.Run(ctx, input, name, args...)
}

// Put makes an account what it should be: it makes the user, or takes it over
// if there is one of that name and number, and changes what differs. What is
// interrupted is finished by the next Put.
func (m Machine) Put(ctx context.Context, want Account) error {
	all, err := m.List()
	if err != nil {
		return err
	}
	have, there := all.Accounts[want.Name]
	if there && have.UID != want.UID {
		return fmt.Errorf("set up user %s: its number is %d on this machine, not %d", want.Name, have.UID, want.UID)
	}
	// First what says that it is ours: one that is made and not told to be
	// would never be removed.
	if err := m.writeRecord(want); err != nil {
		return fmt.Errorf("set up user %s: %w", want.Name, err)
	}
	steps := []func() error{
		func() error { return m.makeGroups(ctx, all, want) },
		func() error { return m.makeUser(ctx, all, want, there) },
		func() error { return m.setKeys(want) },
		func() error { return m.setLogin(ctx, have, want) },
		func() error { return m.logOut(ctx, have, want) },
		func() error { return m.setMembership(ctx, all, want) },
		// Again, for who came back in between.
		func() error { return m.logOut(ctx, have, want) },
		func() error { return m.makeHome(ctx, want.Name) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("set up user %s: %w", want.Name, err)
		}
	}
	return nil
}

// logOut ends the sessions of who is locked, and of who is an admin no more: a
// session keeps the groups that it began with. It comes before the groups
// change, so that a Put after one that failed here still knows that it has to.
func (m Machine) logOut(ctx context.Context, have, want Account) error {
	if want.Expired || have.Has(Sudo) && !want.Has(Sudo) {
		return m.endSessions(ctx, want.Name, want.UID)
	}
	return nil
}

func (m Machine) makeGroups(ctx context.Context, all Listing, want Account) error {
	for _, g := range want.Groups {
		// They are the image's, but settings of an older one may lack them.
		if _, ok := all.Groups[g]; !ok {
			if err := m.run(ctx, "", "groupadd", "--system", g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m Machine) makeUser(ctx context.Context, all Listing, want Account, there bool) error {
	uid := strconv.Itoa(want.UID)
	if there {
		if all.Accounts[want.Name].FullName == want.FullName {
			return nil
		}
		return m.run(ctx, "", "usermod", "--comment", want.FullName, want.Name)
	}
	if _, ok := all.Groups[want.Name]; !ok {
		if err := m.run(ctx, "", "groupadd", "--gid", uid, want.Name); err != nil {
			return err
		}
	}
	return m.run(ctx, "", "useradd", "--uid", uid, "--gid", want.Name, "--no-create-home", "--home-dir", home(want.Name),
		"--shell", "/bin/bash", "--comment", want.FullName, want.Name)
}

// setLogin sets the password, and whether there are logins at all: refused
// first, allowed last.
func (m Machine) setLogin(ctx context.Context, have, want Account) error {
	expire := func(when string) error { return m.run(ctx, "", "usermod", "--expiredate", when, want.Name) }
	if want.Expired && !have.Expired {
		if err := expire("1"); err != nil { // the second day of 1970; 0 is ambiguous (shadow(5))
			return err
		}
	}
	if want.Hash != "" && want.Hash != have.Hash {
		if err := m.run(ctx, want.Name+":"+string(want.Hash)+"\n", "chpasswd", "--encrypted"); err != nil {
			return err
		}
	}
	if !want.Expired && have.Expired {
		return expire("")
	}
	return nil
}

// setMembership leaves an account in the groups that are none of ours.
func (m Machine) setMembership(ctx context.Context, all Listing, want Account) error {
	groups := slices.Clone(want.Groups)
	var now []string
	for _, g := range all.memberOf[want.Name] {
		now = append(now, g)
		if !slices.Contains(ManagedGroups(), g) {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	slices.Sort(now)
	if slices.Equal(groups, now) {
		return nil
	}
	return m.run(ctx, "", "usermod", "--groups", strings.Join(groups, ","), want.Name)
}

// Remove removes an account and ends its sessions. Its home stays. One that is
// gone already is no error; one whose number is another is none of ours.
func (m Machine) Remove(ctx context.Context, name string, uid int) error {
	all, err := m.List()
	if err != nil {
		return err
	}
	if err := m.setKeys(Account{Name: name}); err != nil {
		return fmt.Errorf("remove user %s: %w", name, err)
	}
	if have, there := all.Accounts[name]; there {
		if have.UID != uid {
			return fmt.Errorf("remove user %s: its number is %d on this machine, not %d", name, have.UID, uid)
		}
		if err := m.endSessions(ctx, name, uid); err != nil {
			return fmt.Errorf("remove user %s: %w", name, err)
		}
		// With force it minds no process that is left of the user; it leaves
		// the home without --remove.
		if err := m.run(ctx, "", "userdel", "--force", name); err != nil {
			return fmt.Errorf("remove user %s: %w", name, err)
		}
	}
	if err := m.removeFile(record(name)); err != nil {
		return fmt.Errorf("remove user %s: %w", name, err)
	}
	return nil
}
