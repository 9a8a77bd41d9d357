package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Secret is text that must not be seen: it prints as "(secret)" in logs,
// format verbs and JSON. Its value is in the document's own YAML (Marshal)
// and wherever code converts it with string().
type Secret string

// Hidden is what a secret prints as. A document that comes back with it keeps
// the secret that it had (KeepSecrets).
const Hidden = "(secret)"

// String hides the secret; an empty one stays empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Hidden
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// Format hides the secret from every verb, %x and %q included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the secret.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Redacted returns a copy of the document in which every secret reads
// "(secret)", for YAML that people see.
func (d *Document) Redacted() *Document {
	c := d.Clone()
	c.eachSecret(func(_ string, s *Secret) { *s = Secret(s.String()) })
	return c
}

// Secrets are the secrets of d, to be taken out of other texts.
func (d *Document) Secrets() []string {
	var all []string
	d.eachSecret(func(_ string, s *Secret) {
		if *s != "" && *s != Hidden {
			all = append(all, string(*s))
		}
	})
	return all
}

// KeepSecrets puts the secrets of previous where d has "(secret)": a document
// that was read redacted, edited and sent back keeps its secrets. One that
// previous does not have stays "(secret)", and Validate refuses it.
func (d *Document) KeepSecrets(previous *Document) {
	if previous == nil {
		return
	}
	had := map[string]Secret{}
	previous.eachSecret(func(path string, s *Secret) { had[path] = *s })
	d.eachSecret(func(path string, s *Secret) {
		if old, ok := had[path]; ok && *s == Hidden {
			*s = old
		}
	})
}

// eachSecret visits every secret with a path made of names, so that it is the
// same after list items were moved.
func (d *Document) eachSecret(visit func(path string, s *Secret)) {
	auth := func(path string, a *Auth) {
		named := map[string]int{}
		for _, u := range a.Users {
			named[u.Name]++
		}
		for i := range a.Users {
			u := &a.Users[i]
			at := path + "/user/" + u.Name
			if named[u.Name] > 1 { // they differ by their initiators
				at += "/" + strings.Join(u.Initiators, ",")
			}
			visit(at, &u.Secret)
		}
		if a.Mutual != nil {
			visit(path+"/mutual/"+a.Mutual.Name, &a.Mutual.Secret)
		}
	}
	for i := range d.Storage.Remote.ISCSI {
		visit("remote/"+d.Storage.Remote.ISCSI[i].Name, &d.Storage.Remote.ISCSI[i].Secret)
	}
	auth("discovery", &d.ISCSI.Discovery)
	for i := range d.Targets {
		auth("target/"+d.Targets[i].Name, &d.Targets[i].Auth)
	}
	for _, s := range d.NVMe.Subsystems {
		for i := range s.Hosts {
			visit("nvme/"+s.NQN+"/"+s.Hosts[i].NQN+"/key", &s.Hosts[i].DHCHAPKey)
			visit("nvme/"+s.NQN+"/"+s.Hosts[i].NQN+"/ctrl-key", &s.Hosts[i].DHCHAPCtrlKey)
		}
	}
	visit("mail/password", &d.Mail.Password)
	for i := range d.Users {
		visit("users/"+d.Users[i].Name+"/password", &d.Users[i].Password)
	}
	for i := range d.API.Users {
		u := &d.API.Users[i]
		visit("api/"+u.Name+"/password", &u.Password)
		for j := range u.Tokens {
			visit("api/"+u.Name+"/token/"+u.Tokens[j].Name, &u.Tokens[j].Hash)
		}
	}
}

// Secrets are those of the users and then the mutual one: they are hidden from
// JSON, and go beside it into a file that only root reads.
func (a Auth) Secrets() []string {
	var out []string
	for _, u := range a.Users {
		out = append(out, string(u.Secret))
	}
	if a.Mutual != nil {
		out = append(out, string(a.Mutual.Secret))
	}
	return out
}

// Reveal puts secrets back where they were; false if they are not as many.
func (a *Auth) Reveal(secrets []string) bool {
	want := len(a.Users)
	if a.Mutual != nil {
		want++
	}
	if len(secrets) != want {
		return false
	}
	for i := range a.Users {
		a.Users[i].Secret = Secret(secrets[i])
	}
	if a.Mutual != nil {
		a.Mutual.Secret = Secret(secrets[len(a.Users)])
	}
	return true
}
