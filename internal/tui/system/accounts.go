package system

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
	"github.com/esos-project/esos/internal/tui/frame"
)

// users lists who logs in to the machine.
func users(d *frame.Desk) {
	withNamed := func(do func(*frame.Desk, document, string), unfit func(*frame.Desk, string) string) func(frame.Row) {
		return func(r frame.Row) {
			if why := unfit(d, r.ID); why != "" {
				d.Say("Not "+r.ID, why)
				return
			}
			withDocument(d, func(d *frame.Desk, doc document) { do(d, doc, r.ID) })
		}
	}
	d.List(&frame.List{Title: "Users", Command: "esos account list",
		Help: "People who log in to the appliance itself, at its console and over SSH, and what they may do there: a viewer sees all but secrets; an operator also changes what is served, but destroys nothing; " +
			"an admin does everything, and may sudo. A password that is declared is the document's (none, perhaps); one by passwd is the machine's own. Users of the API over the network are others.",
		Columns: []frame.Column{{Title: "name"}, {Title: "role"}, {Title: "password"}, {Title: "SSH keys", Right: true}, {Title: "state"}, {Title: "full name", Wide: true}, {Title: "number", Right: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			return userRows(d, doc), nil
		},
		Keys: []frame.RowKey{
			{Key: 'e', Does: "edit", Do: withNamed(editUser, noPerson)},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { withDocument(d, addUser) }},
			{Key: 'd', Does: "delete", Do: withNamed(deleteUser, notDeleted)},
			{Key: 'p', Does: "password", Do: withNamed(changePassword, noPerson)},
			{Key: 'k', Does: "SSH keys", Do: withNamed(sshKeys, noPerson)},
		}})
}

func userRows(d *frame.Desk, doc document) []frame.Row {
	var rows []frame.Row
	for _, u := range people(doc) {
		r := frame.Row{ID: u.Name, Cells: []string{u.Name, u.Role, "declared", fmt.Sprint(len(u.SSHKeys)), "", u.FullName, fmt.Sprint(u.UID)}}
		if u.Password == "" {
			r.Cells[2] = "by passwd"
		}
		if u.Locked {
			r.Level, r.Cells[4] = frame.Dim, "locked"
		}
		if _, err := doc.FindUser(u.Name); err != nil {
			r.Why = undeclared(u.Name)
		}
		if u.Name == d.User() {
			r.Why = strings.TrimSpace("That is you. " + r.Why)
		}
		rows = append(rows, r)
	}
	return append(rows, frame.Row{ID: rootUser, Level: frame.Dim, Cells: []string{rootUser, "", "none", "", "", "the system itself"}, Why: noPerson(d, rootUser)})
}

const rootUser = "root"

// people are the users of the document, and the administrator that every image
// has.
func people(doc document) []config.Account {
	all := slices.Clone(doc.Users)
	if _, err := doc.FindUser(config.Administrator); err != nil {
		all = append(all, config.Account{Name: config.Administrator, Role: "admin", UID: 1000})
	}
	return all
}

func undeclared(name string) string {
	return name + " is the image's, and not in the array's document yet: what is set here puts it there."
}

// person is a user of the document; the image's administrator is put there.
func person(doc document, name string) (*config.Account, error) {
	if _, err := doc.FindUser(name); err != nil && name == config.Administrator {
		doc.Users = append(doc.Users, config.Account{Name: name, Role: "admin"})
	}
	return doc.FindUser(name)
}

// noPerson says why nothing is set of a user.
func noPerson(_ *frame.Desk, name string) string {
	if name == rootUser {
		return "root is the system itself: it has no password, and nobody logs in as root. An admin uses sudo."
	}
	return ""
}

// notDeleted says why a user is not deleted.
func notDeleted(d *frame.Desk, name string) string {
	switch name {
	case rootUser:
		return "root is the system itself and stays."
	case d.User():
		return "You are logged in as " + name + ": have another admin delete this user."
	}
	return ""
}

// chooseUser asks for a user; unfit says why one cannot be chosen.
func chooseUser(d *frame.Desk, title string, unfit func(*frame.Desk, string) string, do func(*frame.Desk, document, string)) {
	withDocument(d, func(d *frame.Desk, doc document) {
		p := &frame.Picker{Title: title, Columns: []string{"user", "role", "full name"}, Command: "esos account list", Help: "Who is meant. Users lists all, with more to do."}
		for _, r := range userRows(d, doc) {
			p.Options = append(p.Options, frame.Option{Value: r.ID, Cells: []string{r.ID, r.Cells[1], r.Cells[5]}, Why: unfit(d, r.ID)})
		}
		p.Do = func(chosen []string) {
			d.Close(p)
			do(d, doc, chosen[0])
		}
		d.Pick(p)
	})
}

func roles() []frame.Option {
	return []frame.Option{{Value: "viewer", Cells: []string{"viewer", "sees all but secrets"}},
		{Value: "operator", Cells: []string{"operator", "changes what is served, destroys nothing"}},
		{Value: "admin", Cells: []string{"admin", "does everything, and may sudo"}}}
}

// addUser makes a user.
func addUser(d *frame.Desk, doc document) {
	var name, full, typed, again, keys string
	role := "viewer"
	f := &frame.Form{Title: "Add User", Command: "esos account create", Submit: "Add",
		Help: "A person who logs in to the appliance at its console and over SSH, with a password, an SSH key or either. Users of the API over the network are others: API Users and Tokens.",
		Fields: []frame.Field{
			{Label: "Name", Text: &name, Check: newLogin(doc), Hint: "To log in with: up to 32 lower-case letters, digits, _ and -, a letter first."},
			{Label: "Role", One: &role, Options: roles(), Hint: "What the person may do with the array, here and at the console."},
			{Label: "Full name", Text: &full, Check: config.CheckFullName, Hint: "The person's name; may be empty."},
			{Label: "Password", Text: &typed, Secret: true, Check: newPassword(&keys), Hint: "At least 8 characters; may be empty if there is an SSH key."},
			{Label: "Password again", Text: &again, Secret: true, Check: frame.Same(&typed), Hint: "The same once more."},
			{Label: "SSH keys", Lines: &keys, Check: publicKeys, Hint: "Public keys, one a line, as in authorized_keys or a .pub file; may be empty if there is a password."},
		}}
	hash := hashed(&typed)
	f.Do = func() {
		d.Change(frame.Change{Why: strings.TrimSpace("esos account create " + name + " --role " + role), From: f, Edit: func(doc document) error {
			if _, err := doc.FindUser(name); err == nil {
				return fmt.Errorf("user %q %w", name, config.ErrExists)
			}
			found, err := config.PublicKeys(keys)
			if err != nil {
				return err
			}
			secret, err := hash()
			doc.Users = append(doc.Users, config.Account{Name: name, Role: role, FullName: full, SSHKeys: found, Password: secret})
			return err
		}})
	}
	d.Form(f)
}

// newLogin checks the name of a new user; the image's administrator is one to
// be taken over.
func newLogin(doc document) func(string) error {
	return func(s string) error {
		if _, err := doc.FindUser(s); err == nil {
			return fmt.Errorf("%s is there already", s)
		}
		return config.CheckLogin(s)
	}
}

// newPassword checks one that may be left out where a key opens logins.
func newPassword(keys *string) func(string) error {
	return func(s string) error {
		switch {
		case s == "" && strings.TrimSpace(*keys) == "":
			return fmt.Errorf("a password is needed, or an SSH key: nobody could log in else")
		case s == "":
			return nil
		}
		return longEnough(s)
	}
}

func longEnough(s string) error {
	if len(s) < password.LeastCrypt {
		return fmt.Errorf("at least %d characters", password.LeastCrypt)
	}
	return nil
}

func publicKeys(s string) error {
	_, err := config.PublicKeys(s)
	return err
}

// hashed returns what makes the hash of a password that is typed. It takes a
// tenth of a second, and is made once as long as nothing else is typed.
func hashed(typed *string) func() (config.Secret, error) {
	var of string
	var made config.Secret
	return func() (config.Secret, error) {
		switch {
		case *typed == "":
			return "", nil
		case made != "" && of == *typed:
			return made, nil
		}
		hash, err := password.Crypt(*typed)
		of, made = *typed, config.Secret(hash)
		return made, err
	}
}

// editUser changes a user's role or name, or locks one out.
func editUser(d *frame.Desk, doc document, name string) {
	u, err := person(doc, name)
	if err != nil {
		d.Fail("Edit "+name, err)
		return
	}
	role, full, locked := u.Role, u.FullName, u.Locked
	f := &frame.Form{Title: "User " + name, Command: "esos account set " + name, Submit: "Set",
		Help: "Who loses the role admin, or is locked, is logged out.",
		Fields: []frame.Field{
			{Label: "Role", One: &role, Options: roles(), Hint: "What the person may do with the array, here and at the console."},
			{Label: "Full name", Text: &full, Check: config.CheckFullName, Hint: "The person's name; may be empty."},
			{Label: "Locked", Yes: &locked, Hint: "Refuse all logins, by password and by key."},
		}}
	f.Do = func() {
		why := fmt.Sprintf("esos account set %s --role %s --full-name %q", name, role, full)
		if locked != u.Locked {
			why += map[bool]string{true: " --lock", false: " --unlock"}[locked]
		}
		d.Change(frame.Change{Why: why, From: f, Edit: func(doc document) error {
			u, err := person(doc, name)
			if err != nil {
				return err
			}
			u.Role, u.FullName, u.Locked = role, full, locked
			return nil
		}})
	}
	d.Form(f)
}

// deleteUser removes a user, and what the user left if that is wanted.
func deleteUser(d *frame.Desk, doc document, name string) {
	if _, err := doc.FindUser(name); err != nil {
		d.Say("Not "+name, undeclared(name)+" To remove it, set something of it first, such as its password, and delete it then.")
		return
	}
	home := "stay"
	f := &frame.Form{Title: "Delete User " + name, Command: "esos account delete " + name, Submit: "Delete",
		Help: "The user is logged out and removed. What it has in /home stays until the next reboot, unless it is to be deleted at once: then its name is asked for.",
		Fields: []frame.Field{{Label: "Files in /home/" + name, One: &home, Options: []frame.Option{{Value: "stay", Cells: []string{"stay until the next reboot"}},
			{Value: "go", Cells: []string{"are deleted now"}}}, Hint: "The next reboot ends all that is in /home."}}}
	f.Do = func() {
		c := frame.Change{Why: "esos account delete " + name, From: f, Edit: func(doc document) error {
			if _, err := doc.FindUser(name); err != nil {
				return err
			}
			doc.Users = slices.DeleteFunc(doc.Users, func(u config.Account) bool { return u.Name == name })
			return nil
		}}
		if home == "go" {
			c.Why, c.Destroy = c.Why+" --destroy user/"+name, []string{"user/" + name}
		}
		d.Change(c)
	}
	d.Form(f)
}

// changePassword gives a user another password.
func changePassword(d *frame.Desk, _ document, name string) {
	var typed, again string
	none := false
	some := func() bool { return !none }
	f := &frame.Form{Title: "Change Password of " + name, Command: "esos account password " + name, Submit: "Set",
		Help: "The array's document has its hash from then on, and every change sets it: what passwd on the appliance changes does not last.",
		Fields: []frame.Field{
			{Label: "No password", Yes: &none, Hint: "Only SSH keys open a login then."},
			{Label: "New password", Text: &typed, Secret: true, Show: some, Check: longEnough, Hint: "At least 8 characters. It is not shown."},
			{Label: "New password again", Text: &again, Secret: true, Show: some, Check: frame.Same(&typed), Hint: "The same once more."},
		}}
	hash := hashed(&typed)
	f.Do = func() {
		why := "esos account password " + name
		if none {
			why += " --none"
		}
		d.Change(frame.Change{Why: why, From: f, Edit: func(doc document) error {
			u, err := person(doc, name)
			if err != nil {
				return err
			}
			if none {
				u.Password = config.NoPassword
				return nil
			}
			u.Password, err = hash()
			return err
		}})
	}
	d.Form(f)
}
