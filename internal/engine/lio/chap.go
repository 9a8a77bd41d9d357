package lio

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// credentials are the four files of CHAP, in the order in which they are
// written: the secret comes last.
type credentials [4]struct{ file, value string }

// credentialsFor are those of an initiator; those for discovery if it is "".
func credentialsFor(a config.Auth, initiator string) (credentials, error) {
	c := credentials{{file: "userid"}, {file: "password"}, {file: "userid_mutual"}, {file: "password_mutual"}}
	var mine []config.CHAPUser
	for _, u := range a.Users {
		if initiator == "" || len(u.Initiators) == 0 || slices.Contains(u.Initiators, "*") || slices.Contains(u.Initiators, initiator) {
			mine = append(mine, u)
		}
	}
	switch len(mine) {
	case 0:
		return c, nil
	case 1:
	default:
		return c, fmt.Errorf("initiator %s may log in as %s or as %s, but LIO knows one name and secret of each initiator; limit each user to its initiators, or use engine: native or scst",
			initiator, mine[0].Name, mine[1].Name)
	}
	c[0].value, c[1].value = mine[0].Name, string(mine[0].Secret)
	if a.Mutual != nil {
		c[2].value, c[3].value = a.Mutual.Name, string(a.Mutual.Secret)
	}
	return c, nil
}

// unset is what the kernel takes for nothing at all (DEF_NACL_AUTH_STR).
const unset = "NULL"

func isUnset(v string) bool { return v == "" || strings.HasPrefix(v, unset) }

// setCredentials writes the files that differ. They are written without a
// newline, which the kernel would keep as a part of the secret.
func (e *Engine) setCredentials(at string, c credentials) error {
	for _, f := range c {
		file := path.Join(at, f.file)
		now, err := e.k.read(file)
		if err != nil {
			return err
		}
		if now == f.value || f.value == "" && isUnset(now) {
			continue
		}
		value := f.value
		if value == "" {
			value = unset
		}
		if err := e.k.WriteFile(file, value); err != nil {
			return err
		}
	}
	return nil
}

// readCredentials reads the files; what is unset reads "".
func (e *Engine) readCredentials(at string) (credentials, error) {
	c := credentials{{file: "userid"}, {file: "password"}, {file: "userid_mutual"}, {file: "password_mutual"}}
	for i := range c {
		v, err := e.k.read(path.Join(at, c[i].file))
		if err != nil {
			return c, err
		}
		if !isUnset(v) {
			c[i].value = v
		}
	}
	return c, nil
}

// auth is what credentials mean, for one initiator.
func (c credentials) auth(initiator string) config.Auth {
	var a config.Auth
	if c[0].value != "" {
		u := config.CHAPUser{Name: c[0].value, Secret: config.Secret(c[1].value)}
		if initiator != "" {
			u.Initiators = []string{initiator}
		}
		a.Users = []config.CHAPUser{u}
	}
	if c[2].value != "" {
		a.Mutual = &config.CHAPUser{Name: c[2].value, Secret: config.Secret(c[3].value)}
	}
	return a
}
