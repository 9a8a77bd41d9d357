package system

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
	"github.com/esos-project/esos/internal/tui/frame"
)

// apiUsers lists who may use the API over the network.
func apiUsers(d *frame.Desk) {
	named := func(do func(*frame.Desk, document, string)) func(frame.Row) {
		return func(r frame.Row) { withDocument(d, func(d *frame.Desk, doc document) { do(d, doc, r.ID) }) }
	}
	d.List(&frame.List{Title: "API Users and Tokens", Command: "esos user list",
		Help: "Users of the REST API over the network. A viewer sees all but secrets; an operator also changes what is served, but destroys nothing; an admin does everything. " +
			"Programs use tokens. People who log in to the machine are others: Users.",
		Columns: []frame.Column{{Title: "user"}, {Title: "role"}, {Title: "password"}, {Title: "tokens", Wide: true}},
		Empty:   "Nobody may use the API over the network. Press a to add somebody, l to say where it listens.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, u := range doc.API.Users {
				var tokens []string
				for _, t := range u.Tokens {
					tokens = append(tokens, t.Name)
				}
				r := frame.Row{ID: u.Name, Cells: []string{u.Name, u.Role, map[bool]string{true: "yes", false: "none"}[u.Password != ""], strings.Join(tokens, ", ")}}
				if doc.API.Listen == "" {
					r.Why = "The API does not listen to the network now: l says where."
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'e', Does: "edit", Do: named(editAPIUser)},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { withDocument(d, addAPIUser) }},
			{Key: 'd', Does: "delete", Do: named(deleteAPIUser)},
			{Key: 't', Does: "tokens", Do: func(r frame.Row) { tokens(d, r.ID) }},
			{Key: 'l', Does: "listen", Always: true, Do: func(frame.Row) { withDocument(d, listen) }},
		}})
}

func findAPIUser(doc document, name string) (*config.APIUser, error) {
	for i := range doc.API.Users {
		if doc.API.Users[i].Name == name {
			return &doc.API.Users[i], nil
		}
	}
	return nil, fmt.Errorf("API user %q: %w", name, config.ErrNotFound)
}

// apiName checks the name of a new user, as the API takes it.
func apiName(doc document) func(string) error {
	good := regexp.MustCompile(`^[a-z_][a-z0-9_.-]{0,31}$`)
	return func(s string) error {
		if _, err := findAPIUser(doc, s); err == nil {
			return fmt.Errorf("%s is there already", s)
		}
		if !good.MatchString(s) {
			return fmt.Errorf("up to 32 lower-case letters, digits and _ . -, a letter or _ first")
		}
		return nil
	}
}

// hashedAPI returns what makes the hash of an API password that is typed, once
// as long as nothing else is typed.
func hashedAPI(typed *string) func() (config.Secret, error) {
	var of, made string
	return func() (config.Secret, error) {
		if *typed == "" || of == *typed {
			return config.Secret(made), nil
		}
		hash, err := password.Hash(*typed)
		if err == nil {
			of, made = *typed, hash
		}
		return config.Secret(hash), err
	}
}

func apiPasswords(typed, again *string, hint string) []frame.Field {
	return []frame.Field{
		{Label: "Password", Text: typed, Secret: true, Check: frame.Optional(password.Check), Hint: hint},
		{Label: "Password again", Text: again, Secret: true, Check: frame.Same(typed), Hint: "The same once more."},
	}
}

func addAPIUser(d *frame.Desk, doc document) {
	var name, typed, again string
	role := "viewer"
	f := &frame.Form{Title: "Add API User", Command: "esos user create", Submit: "Add",
		Fields: append([]frame.Field{
			{Label: "Name", Text: &name, Check: apiName(doc), Hint: "Of the person or the program."},
			{Label: "Role", One: &role, Options: roles(), Hint: "What the user may do over the network."},
		}, apiPasswords(&typed, &again, fmt.Sprintf("At least %d characters. Empty: only tokens open the API for this user.", password.Least))...)}
	hash := hashedAPI(&typed)
	f.Do = func() {
		d.Change(frame.Change{Why: "esos user create " + name + " --role " + role, From: f, Edit: func(doc document) error {
			if _, err := findAPIUser(doc, name); err == nil {
				return fmt.Errorf("API user %q %w", name, config.ErrExists)
			}
			secret, err := hash()
			doc.API.Users = append(doc.API.Users, config.APIUser{Name: name, Role: role, Password: secret})
			return err
		}})
	}
	d.Form(f)
}

func editAPIUser(d *frame.Desk, doc document, name string) {
	u, err := findAPIUser(doc, name)
	if err != nil {
		d.Fail("Edit "+name, err)
		return
	}
	role := u.Role
	var typed, again string
	f := &frame.Form{Title: "API User " + name, Command: "esos user set " + name, Submit: "Set", Help: "Another password ends the sessions that the old one opened.",
		Fields: append([]frame.Field{{Label: "Role", One: &role, Options: roles(), Hint: "What the user may do over the network."}},
			apiPasswords(&typed, &again, fmt.Sprintf("At least %d characters. Empty keeps what is set.", password.Least))...)}
	hash := hashedAPI(&typed)
	f.Do = func() {
		why := "esos user set " + name + " --role " + role
		if typed != "" {
			why += " --password"
		}
		d.Change(frame.Change{Why: why, From: f, Edit: func(doc document) error {
			u, err := findAPIUser(doc, name)
			if err != nil {
				return err
			}
			u.Role = role
			secret, err := hash()
			if typed != "" {
				u.Password = secret
			}
			return err
		}})
	}
	d.Form(f)
}

func deleteAPIUser(d *frame.Desk, _ document, name string) {
	d.Change(frame.Change{Why: "esos user delete " + name, Edit: func(doc document) error {
		if _, err := findAPIUser(doc, name); err != nil {
			return err
		}
		doc.API.Users = slices.DeleteFunc(doc.API.Users, func(u config.APIUser) bool { return u.Name == name })
		return nil
	}})
}

// listen says where the API listens to the network.
func listen(d *frame.Desk, doc document) {
	at, cert, key := doc.API.Listen, doc.API.Cert, doc.API.Key
	on := func() bool { return at != "" }
	f := &frame.Form{Title: "API: where it listens", Command: "esos config edit", Submit: "Set",
		Help: "Where the REST API is reached over the network (HTTPS). On the machine itself it always is, by its socket.",
		Fields: []frame.Field{
			{Label: "Address", Text: &at, Check: frame.Optional(hostPort), Hint: "Host and port: :8443 for all addresses, 192.0.2.10:8443, [2001:db8::10]:8443. Empty: not over the network."},
			{Label: "Certificate", Text: &cert, Show: on, Check: frame.Optional(absolute), Hint: "PEM file. Empty: one that the array signs itself; clients know it by its fingerprint."},
			{Label: "Key", Text: &key, Show: on, Check: frame.Optional(absolute), Hint: "PEM file with the certificate's key."},
		}}
	f.Do = func() {
		d.Change(frame.Change{Why: "esos config edit: api.listen " + at, From: f, Edit: func(doc document) error {
			doc.API.Listen, doc.API.Cert, doc.API.Key = at, cert, key
			if at == "" {
				doc.API.Cert, doc.API.Key = "", ""
			}
			return nil
		}})
	}
	d.Form(f)
}

func hostPort(s string) error {
	if _, port, err := net.SplitHostPort(s); err != nil || frame.Number(1, 65535)(port) != nil {
		return fmt.Errorf("a host and a port, such as :8443, 192.0.2.10:8443 or [2001:db8::10]:8443")
	}
	return nil
}
