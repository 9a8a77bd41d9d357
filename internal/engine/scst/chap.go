package scst

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// Attributes that hold a CHAP name and its secret.
const (
	incoming = "IncomingUser"
	outgoing = "OutgoingUser"
)

// credential is one of them.
type credential struct {
	file         string // "" before it is there
	name, secret string
}

// credentials reads those of a target, or of the driver: discovery's.
func (e *Engine) credentials(ctx context.Context, at, attribute string) ([]credential, error) {
	files, err := e.k.list(at)
	if err != nil {
		return nil, err
	}
	var out []credential
	for _, file := range files {
		if !numbered(file, attribute) {
			continue
		}
		v, there, err := e.k.optional(ctx, path.Join(at, file))
		if err != nil {
			return nil, err
		}
		if name, secret, ok := strings.Cut(v, " "); there && ok {
			out = append(out, credential{file, name, strings.TrimSpace(secret)})
		}
	}
	return out, nil
}

// putAuth sets who may log in to a target; to discovery if it is "". Without
// any user everybody may: one is never taken away before the others are there.
func (e *Engine) putAuth(ctx context.Context, target string, a config.Auth) error {
	at := driverPath(config.DriverISCSI)
	add, del := "add_attribute", "del_attribute"
	if target != "" {
		at = path.Join(at, target)
		add, del = "add_target_attribute "+target, "del_target_attribute "+target
	}
	var mutual []config.CHAPUser
	if a.Mutual != nil {
		mutual = append(mutual, *a.Mutual)
	}
	for _, dir := range []struct {
		attribute string
		users     []config.CHAPUser
	}{{incoming, a.Users}, {outgoing, mutual}} {
		if err := e.putUsers(ctx, at, dir.attribute, add, del, dir.users); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) putUsers(ctx context.Context, at, attribute, add, del string, want []config.CHAPUser) error {
	have, err := e.credentials(ctx, at, attribute)
	if err != nil {
		return err
	}
	mgmt := path.Join(driverPath(config.DriverISCSI), "mgmt")
	drop := func(name string) error {
		return e.k.write(ctx, mgmt, strings.Join([]string{del, attribute, name}, " "))
	}
	if attribute == outgoing && len(have) > 0 && len(want) > 0 && have[0].name != want[0].Name {
		// There is one at most. Nobody gets in without it: initiators that ask
		// for a proof refuse us until the new one is there.
		if err := drop(have[0].name); err != nil {
			return fmt.Errorf("forget CHAP user %s: %w", have[0].name, err)
		}
		have = have[1:]
	}
	for _, u := range want {
		i := slices.IndexFunc(have, func(c credential) bool { return c.name == u.Name })
		switch {
		case i < 0:
			err = e.k.writeSecret(ctx, mgmt, strings.Join([]string{add, attribute, u.Name, string(u.Secret)}, " "))
		case have[i].secret != string(u.Secret):
			err = e.k.writeSecret(ctx, path.Join(at, have[i].file), u.Name+" "+string(u.Secret))
		}
		if err != nil {
			return fmt.Errorf("set CHAP user %s: %w", u.Name, err)
		}
	}
	for _, c := range have {
		if !slices.ContainsFunc(want, func(u config.CHAPUser) bool { return u.Name == c.name }) {
			if err := drop(c.name); err != nil {
				return fmt.Errorf("forget CHAP user %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// observeAuth reads who may log in, in the order of its words.
func (e *Engine) observeAuth(ctx context.Context, at string, said config.Auth) (config.Auth, error) {
	in, err := e.credentials(ctx, at, incoming)
	if err != nil {
		return config.Auth{}, err
	}
	out, err := e.credentials(ctx, at, outgoing)
	if err != nil {
		return config.Auth{}, err
	}
	var a config.Auth
	order := make([]string, len(said.Users))
	for i, u := range said.Users {
		order[i] = u.Name
	}
	for _, c := range in {
		a.Users = append(a.Users, config.CHAPUser{Name: c.name, Secret: config.Secret(c.secret)})
	}
	sortAs(a.Users, order, func(u config.CHAPUser) string { return u.Name })
	if len(out) > 0 {
		a.Mutual = &config.CHAPUser{Name: out[0].name, Secret: config.Secret(out[0].secret)}
	}
	return a, nil
}

// PutDiscovery implements engine.Engine.
func (e *Engine) PutDiscovery(ctx context.Context, a config.Auth) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDiscovery(ctx, a); err != nil {
		return fmt.Errorf("put discovery authentication: %w", err)
	}
	return nil
}

func (e *Engine) putDiscovery(ctx context.Context, a config.Auth) error {
	if err := authProblems(a).join(); err != nil {
		return err
	}
	if len(a.Users) == 0 && a.Mutual == nil {
		there, err := e.k.exists(driverPath(config.DriverISCSI))
		if err != nil || !there {
			return err // nothing is served, and nothing is asked for
		}
	} else if err := e.ready(ctx, config.DriverISCSI); err != nil {
		return err
	}
	return e.putAuth(ctx, "", a)
}
