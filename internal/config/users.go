package config

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Administrator is the user that every image has for people. The first boot
// gives it a password; its number is the image's.
const (
	Administrator    = "admin"
	administratorUID = 1000
)

// Account is a person who logs in to the machine, at its console and over SSH,
// and has a role in the array there.
type Account struct {
	Name     string `yaml:"name" json:"name" doc:"login name: up to 32 of lower-case letters, digits, _ and -, a letter first"`
	Role     string `yaml:"role" json:"role" enum:"admin,operator,viewer" doc:"what the user may do with esos on the machine; an admin may also sudo"`
	UID      int    `yaml:"uid,omitempty" json:"uid,omitempty" doc:"user number, 1000 to 59999; completed once and then stays"`
	FullName string `yaml:"full_name,omitempty" json:"full_name,omitempty" doc:"the person's name"`
	// Without a password it is left as it is on the machine: passwd may set
	// one. A new user has none then.
	Password Secret   `yaml:"password,omitempty" json:"password,omitempty" doc:"hash as crypt(5) has it, $6$... or $y$...; * is no password; left to passwd on the machine when empty"`
	SSHKeys  []string `yaml:"ssh_keys,omitempty" json:"ssh_keys,omitempty" doc:"public keys that open a login over SSH, as lines of authorized_keys"`
	Locked   bool     `yaml:"locked,omitempty" json:"locked,omitempty" doc:"refuse all logins"`
}

// NoPassword in the place of a password's hash is one that nothing matches.
const NoPassword = "*"

// CanLogIn says whether the document gives the user a way to log in.
func (u Account) CanLogIn() bool {
	return !u.Locked && (len(u.SSHKeys) > 0 || u.Password != "" && u.Password != NoPassword)
}

// Clone returns a deep copy.
func (u Account) Clone() Account {
	u.SSHKeys = append([]string(nil), u.SSHKeys...)
	return u
}

func cloneUsers(users []Account) []Account {
	var c []Account
	for _, u := range users {
		c = append(c, u.Clone())
	}
	return c
}

// FindUser returns the user of that name.
func (d *Document) FindUser(name string) (*Account, error) {
	return find(d.Users, "user", name, func(u Account) string { return u.Name })
}

// Numbers of users. Those that were made by hand begin at 1000 (login.defs(5)),
// those of services end at 999, and systemd has its own from 60001 on.
const (
	minUID  = 1000
	ownUIDs = 5000 // where those begin that are made here
	maxUID  = 59999
)

// completeUsers gives users their numbers: the previous one, else one that is
// made of the name. So a user who comes back, here or on an array that is
// installed anew, finds files that were left; and nobody else does.
func completeUsers(d, previous *Document) error {
	before, taken := map[string]int{}, map[int]bool{administratorUID: true}
	for _, u := range previous.Users {
		before[u.Name] = u.UID
		taken[u.UID] = true
	}
	for _, u := range d.Users {
		taken[u.UID] = true
	}
	for i := range d.Users {
		u := &d.Users[i]
		switch {
		case u.UID != 0:
			continue
		case before[u.Name] != 0:
			u.UID = before[u.Name]
			continue
		case u.Name == Administrator:
			u.UID = administratorUID
			continue
		}
		sum := sha256.Sum256([]byte("user/" + u.Name))
		const room = maxUID - ownUIDs + 1
		start := int(binary.BigEndian.Uint32(sum[:]) % room)
		for k := 0; u.UID == 0; k++ {
			if k == room {
				return fmt.Errorf("complete user %s: all user numbers from %d to %d are taken", u.Name, ownUIDs, maxUID)
			}
			if id := ownUIDs + (start+k)%room; !taken[id] {
				u.UID, taken[id] = id, true
			}
		}
	}
	return nil
}

func (c *checker) checkUsers() {
	names, uids := map[string]int{}, map[string]int{}
	for i, u := range c.doc.Users {
		at := fmt.Sprintf("users[%d]", i)
		if err := CheckLogin(u.Name); err != nil {
			c.error(at+".name", "%v", err)
		}
		c.unique(names, at+".name", "users", u.Name, i)
		if u.Role == "" {
			c.error(at+".role", "missing; admin, operator or viewer")
		}
		if u.UID != 0 {
			if u.UID < minUID || u.UID > maxUID {
				c.error(at+".uid", "must be %d to %d; leave it out to have one made", minUID, maxUID)
			}
			c.unique(uids, at+".uid", "users", fmt.Sprint(u.UID), i)
		}
		if err := CheckFullName(u.FullName); err != nil {
			c.error(at+".full_name", "%v", err)
		}
		if u.Password != "" && !isCryptHash(string(u.Password)) {
			c.error(at+".password", "is no password hash; 'esos account password %s' makes one, or 'mkpasswd -m yescrypt', or * for none", clip(u.Name))
		}
		keys := map[string]int{}
		for k, line := range u.SSHKeys {
			if err := CheckPublicKey(line); err != nil {
				c.error(fmt.Sprintf("%s.ssh_keys[%d]", at, k), "%v", err)
			}
			c.unique(keys, fmt.Sprintf("%s.ssh_keys[%d]", at, k), at+".ssh_keys", line, k)
		}
	}
}

// CheckFullName says whether a name can be that of a person: in /etc/passwd it
// is a field of a field (passwd(5)).
func CheckFullName(s string) error {
	if len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' || r == ',' || r == '=' }) {
		return fmt.Errorf("%q may be up to 128 characters long, without \":\", \",\", \"=\" and control characters", clip(s))
	}
	return nil
}

// CheckLogin says whether a name can be that of a user of the machine, as
// useradd(8) wants it.
func CheckLogin(name string) error {
	switch {
	case name == "":
		return errors.New("missing")
	case len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" || name[0] < 'a':
		return fmt.Errorf("%q is no login name; up to 32 lower-case letters, digits, \"_\" and \"-\", a letter first", clip(name))
	case name == "root":
		return errors.New("root is not for people; declare a user of your own, with the role admin")
	}
	return nil
}

// CheckPublicKey says whether a line is one of authorized_keys (sshd(8)).
func CheckPublicKey(line string) error {
	if strings.ContainsAny(line, "\r\n\x00") {
		return errors.New("must be one line")
	}
	_, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || len(rest) > 0 {
		hint := ""
		if strings.Contains(line, "PRIVATE KEY") {
			hint = "; it is a private key: keep it to yourself, and take the file that ends in .pub"
		}
		return fmt.Errorf("%q is no public key; it is a line like \"ssh-ed25519 AAAA... ann@desk\"%s", clip(line), hint)
	}
	return nil
}

// PublicKeys are the lines of a text that has one key a line, as sshd reads
// authorized_keys (sshd(8)).
func PublicKeys(text string) ([]string, error) {
	var keys []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := CheckPublicKey(line); err != nil {
			return nil, err
		}
		keys = append(keys, line)
	}
	return keys, nil
}

// isCryptHash says whether a text is a hash that login(1) understands, of the
// kinds that still are strong ones (crypt(5)). It ends up in a line of
// /etc/shadow: nothing may be in it that separates fields or lines.
func isCryptHash(hash string) bool {
	if hash == NoPassword {
		return true
	}
	if len(hash) > 256 || strings.Trim(hash, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./$=,") != "" {
		return false
	}
	parts := strings.Split(hash, "$")
	last := len(parts[len(parts)-1])
	switch {
	case len(parts) < 4 || parts[0] != "":
		return false
	case parts[1] == "6":
		return last == 86
	default:
		return parts[1] == "y" && last == 43
	}
}
