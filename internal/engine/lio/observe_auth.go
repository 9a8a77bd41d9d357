package lio

import (
	"maps"
	"path"
	"slices"

	"github.com/esos-project/esos/internal/config"
)

// chap tells who logs in with what, if that is not what the words say: as one
// user where all initiators have the same credentials, else as a user for those
// that do. Then it can be declared as it is.
func (o *observer) chap(t *config.Target, w *targetWords, views []view) error {
	if len(t.Auth.Users) == 0 {
		return nil // nobody is asked
	}
	has := map[string]credentials{}
	differs, agree := false, true
	for _, v := range views {
		for initiator := range v.acls {
			now, err := o.readCredentials(path.Join(w.place().tpg(v.tag), "acls", initiator, "auth"))
			if err != nil {
				return err
			}
			want, wrong := credentialsFor(w.Target.Auth, initiator)
			differs = differs || wrong != nil || want != now
			if before, twice := has[initiator]; twice && before != now {
				agree = false
			}
			has[initiator] = now
		}
	}
	if !differs {
		return nil
	}
	t.Auth = config.Auth{}
	for _, u := range w.Target.Auth.Users { // of initiators without an ACL
		if len(u.Initiators) > 0 && !slices.ContainsFunc(u.Initiators, func(n string) bool { _, ok := has[n]; return ok || n == everybody }) {
			t.Auth.Users = append(t.Auth.Users, u)
		}
	}
	var kinds []credentials
	of := map[credentials][]string{}
	for _, initiator := range slices.Sorted(maps.Keys(has)) {
		c := has[initiator]
		if of[c] == nil {
			kinds = append(kinds, c)
		}
		of[c] = append(of[c], initiator)
	}
	for i, c := range kinds {
		a := c.auth("")
		for _, u := range a.Users {
			if len(kinds) > 1 || len(t.Auth.Users) > 0 {
				u.Initiators = of[c]
			}
			t.Auth.Users = append(t.Auth.Users, u)
		}
		switch {
		case i == 0:
			t.Auth.Mutual = a.Mutual
		case (credentials{c[2], c[3]}) != (credentials{kinds[0][2], kinds[0][3]}): // a target has one
			agree = false
		}
	}
	if !agree {
		t.Auth.Mutual = &config.CHAPUser{Name: "somebody" + deviates}
	}
	return nil
}
