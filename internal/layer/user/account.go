package user

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/accounts"
)

// account is what the machine is to have of a declared user.
func account(u config.Account) accounts.Account {
	return accounts.Account{
		Name: u.Name, UID: u.UID, FullName: u.FullName, Hash: accounts.Hash(u.Password), Expired: u.Locked,
		Groups: groups(u.Role), Keys: u.SSHKeys, Ours: true,
	}
}

// groups are those that a role is made of, in the order of
// accounts.ManagedGroups.
func groups(role string) []string {
	switch role {
	case "admin":
		return []string{accounts.Sudo, accounts.Logs, accounts.Users}
	case "operator":
		return []string{accounts.Logs, accounts.Users, accounts.Operators}
	default:
		return []string{accounts.Users, accounts.Viewers}
	}
}

// roleOf is the role that groups make, or the groups if they make none.
func roleOf(in []string) string {
	for _, role := range []string{"admin", "operator", "viewer"} {
		if slices.Equal(in, groups(role)) {
			return role
		}
	}
	if len(in) == 0 {
		return "none"
	}
	return "groups " + strings.Join(in, " ")
}

// differences are the settings that Put would change, in the document's words.
func differences(have, want accounts.Account) []config.FieldChange {
	var changes []config.FieldChange
	note := func(field, old, new string) {
		if old != new {
			changes = append(changes, config.FieldChange{Field: field, Old: old, New: new})
		}
	}
	if !slices.Equal(have.Groups, want.Groups) {
		note("role", roleOf(have.Groups), roleOf(want.Groups))
	}
	note("full_name", have.FullName, want.FullName)
	if want.Hash != "" && want.Hash != have.Hash {
		hidden := func(h accounts.Hash) string {
			if h.Opens() {
				return config.Hidden
			}
			return "none"
		}
		changes = append(changes, config.FieldChange{Field: "password", Old: hidden(have.Hash), New: hidden(want.Hash)})
	}
	if !slices.Equal(have.Keys, want.Keys) {
		note("ssh_keys", labels(have.Keys), labels(want.Keys))
	}
	note("locked", map[bool]string{true: "true"}[have.Expired], map[bool]string{true: "true"}[want.Expired])
	return changes
}

// labels names keys as people know them: by comment and fingerprint.
func labels(keys []string) string {
	var list []string
	for _, line := range keys {
		key, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil {
			list = append(list, "(no key)")
			continue
		}
		list = append(list, strings.TrimSpace(comment+" "+ssh.FingerprintSHA256(key)))
	}
	return strings.Join(list, ", ")
}

// locksOut says whether the document would leave nobody who can administer a
// machine that somebody can administer now.
func locksOut(declared *config.Document, all accounts.Listing) bool {
	before, after := false, false
	gone := leaving(declared, all)
	for name, a := range all.Accounts {
		before = before || administers(a)
		isGone := slices.ContainsFunc(gone, func(g accounts.Account) bool { return g.Name == name })
		isDeclared := slices.ContainsFunc(declared.Users, func(u config.Account) bool { return u.Name == name })
		after = after || !isGone && !isDeclared && administers(a)
	}
	for _, u := range declared.Users {
		a := account(u)
		if a.Hash == "" {
			a.Hash = all.Accounts[u.Name].Hash
		}
		after = after || u.Role == "admin" && a.CanLogIn()
	}
	return before && !after
}

// administers says whether somebody who is not declared, or is as the machine
// has it now, can come to be root: sudo asks for a password. Those of ours also
// have the daemon's socket.
func administers(a accounts.Account) bool {
	switch {
	case a.UID == 0:
		return a.CanLogIn()
	case !a.Has(accounts.Sudo) || a.Expired:
		return false
	case a.Ours:
		return a.CanLogIn()
	}
	return a.Hash.Opens()
}
