package nvmet

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// host reads a host as the kernel has it.
func (t *Target) host(nqn string) (Host, error) {
	at := hostAt(nqn)
	h := Host{NQN: nqn, Hash: "sha256"}
	key, has, err := t.k.optional(path.Join(at, "dhchap_key"))
	if err != nil || !has { // a kernel without authentication
		return h, err
	}
	ctrl, err := t.k.read(path.Join(at, "dhchap_ctrl_key"))
	if err != nil {
		return h, err
	}
	h.Key, h.CtrlKey = config.Secret(key), config.Secret(ctrl)
	hash, err := t.k.read(path.Join(at, "dhchap_hash"))
	if err != nil {
		return h, err
	}
	h.Hash = strings.TrimSuffix(strings.TrimPrefix(hash, "hmac("), ")")
	group, has, err := t.k.optional(path.Join(at, "dhchap_dhgroup"))
	if has && group != "null" && group != "none" {
		h.DHGroup = group
	}
	return h, err
}

// putHost makes a host, or sets what of it differs: for all subsystems that it
// may use. One that somebody else made has its key as the document says, and
// stays when nothing of ours uses it any more.
func (t *Target) putHost(h Host) error {
	at := hostAt(h.NQN)
	there, err := t.k.exists(at)
	if err != nil {
		return err
	}
	if !there {
		if err := t.words.put(hostWords, objectWords{Name: h.NQN}); err != nil {
			return err
		}
	}
	if err := t.k.mkdir(at); err != nil {
		return err
	}
	have, err := t.host(h.NQN)
	if err != nil || have == h {
		return err
	}
	if have.Key != "" && h.Key == "" || have.CtrlKey != "" && h.CtrlKey == "" {
		// A key cannot be taken away: nvmet_auth_set_key takes none of no
		// length. A new host has none.
		if err := t.renewHost(h.NQN); err != nil {
			return fmt.Errorf("take a key away: %w", err)
		}
		have = Host{NQN: h.NQN, Hash: "sha256"}
	}
	if have.Hash != h.Hash {
		if err := t.k.set(path.Join(at, "dhchap_hash"), "hmac("+h.Hash+")"); err != nil {
			return err
		}
	}
	if have.DHGroup != h.DHGroup {
		if err := t.k.set(path.Join(at, "dhchap_dhgroup"), cmp.Or(h.DHGroup, "null")); err != nil {
			return err
		}
	}
	// The controller's key first: a host must not be let in with half of them.
	if h.CtrlKey != have.CtrlKey {
		if err := t.putKey(path.Join(at, "dhchap_ctrl_key"), h.CtrlKey); err != nil {
			return err
		}
	}
	if h.Key != have.Key {
		return t.putKey(path.Join(at, "dhchap_key"), h.Key)
	}
	return nil
}

// putKey writes a key, after nobody but root can read it any more: the kernel
// shows its settings to all users of the machine.
func (t *Target) putKey(p string, key config.Secret) error {
	if err := t.k.Chmod(p, 0o600); errors.Is(err, fs.ErrNotExist) {
		return &missingError{p}
	} else if err != nil {
		return fmt.Errorf("hide the key from other users: %w", err)
	}
	return t.k.set(p, string(key))
}

// renewHost makes a host anew. Those who are connected stay so; new
// connections are refused for a moment.
func (t *Target) renewHost(nqn string) error {
	users, err := t.usersOf(nqn)
	if err != nil {
		return err
	}
	for _, s := range users {
		if err := t.k.part(allowedAt(s), nqn); err != nil {
			return err
		}
	}
	if err := t.k.rmdir(hostAt(nqn)); err != nil {
		return err
	}
	if err := t.k.mkdir(hostAt(nqn)); err != nil {
		return err
	}
	for _, s := range users {
		if err := t.k.link(hostAt(nqn), path.Join(allowedAt(s), nqn)); err != nil {
			return err
		}
	}
	return nil
}

// usersOf lists the subsystems that a host may use.
func (t *Target) usersOf(nqn string) ([]string, error) {
	all, err := t.k.list("subsystems")
	if err != nil {
		return nil, err
	}
	var users []string
	for _, s := range all {
		is, err := t.k.related(allowedAt(s), nqn)
		if err != nil {
			return nil, err
		}
		if is {
			users = append(users, s)
		}
	}
	return users, nil
}

// dropHost lets a host use a subsystem no more. The kernel leaves it connected
// (nvmet_allowed_hosts_drop_link), so that with cut it is cut off.
func (t *Target) dropHost(subsystem, nqn string, cut bool) error {
	if err := t.k.part(allowedAt(subsystem), nqn); err != nil || !cut {
		return err
	}
	return t.cutOff(subsystem, func(host string) bool { return host == nqn })
}

// sweepHosts ends the hosts that are ours and may use nothing: also those that
// an earlier daemon did not get to.
func (t *Target) sweepHosts() error {
	hosts, err := t.k.list("hosts")
	if err != nil {
		return err
	}
	subsystems, err := t.k.list("subsystems")
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, s := range subsystems {
		allowed, err := t.k.leads(allowedAt(s))
		if err != nil {
			return err
		}
		for _, nqn := range allowed {
			used[nqn] = true
		}
	}
	for _, nqn := range hosts {
		_, ours, err := t.words.get(hostWords, nqn)
		if err != nil {
			return err
		}
		if !ours || used[nqn] {
			continue
		}
		if err := t.k.rmdir(hostAt(nqn)); err != nil {
			return err
		}
		if err := t.words.Remove(hostWords, nqn); err != nil {
			return err
		}
	}
	return nil
}
