package nvmet

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// controllers lists who is connected; tells is false where the kernel does not
// say (drivers/nvme/target/debugfs.c). Those of the discovery service are left
// out.
func (t *Target) controllers() (all []Controller, tells bool, err error) {
	if t.opt.Debug == nil {
		return nil, false, nil
	}
	subsystems, err := t.opt.Debug.ReadDir(".")
	if errors.Is(err, fs.ErrPermission) {
		return nil, false, nil // debugfs is root's
	}
	if err != nil {
		return nil, false, unlessGone(err)
	}
	for _, nqn := range subsystems {
		if nqn == config.DiscoveryNQN {
			continue
		}
		names, err := t.opt.Debug.ReadDir(nqn)
		if err != nil {
			if err := unlessGone(err); err != nil {
				return nil, true, err
			}
			continue
		}
		for _, name := range names {
			id, ok := strings.CutPrefix(name, "ctrl")
			n, err := strconv.Atoi(id)
			if !ok || err != nil {
				continue
			}
			c, err := t.controller(nqn, n)
			if err != nil {
				if err := unlessGone(err); err != nil {
					return nil, true, err
				}
				continue // it went meanwhile
			}
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Controller) int {
		if n := strings.Compare(a.Subsystem, b.Subsystem); n != 0 {
			return n
		}
		return a.ID - b.ID
	})
	return all, true, nil
}

func (t *Target) controller(nqn string, id int) (Controller, error) {
	at := path.Join(nqn, "ctrl"+number(id))
	c := Controller{Subsystem: nqn, ID: id}
	read := func(name string) (string, error) {
		text, err := t.opt.Debug.ReadFile(path.Join(at, name))
		return strings.TrimSpace(text), err
	}
	var err error
	if c.Host, err = read("hostnqn"); err != nil {
		return c, err
	}
	port, err := read("port")
	if err != nil {
		return c, err
	}
	if c.Port, err = strconv.Atoi(port); err != nil {
		return c, err
	}
	if c.State, err = read("state"); err != nil {
		return c, err
	}
	c.Address, err = read("host_traddr") // later than the rest
	return c, unlessGone(err)
}

// cutOff ends the controllers of some hosts: they cannot come back if they are
// not let in. Where the kernel does not tell who is connected, they stay until
// they go.
func (t *Target) cutOff(subsystem string, which func(host string) bool) error {
	all, tells, err := t.controllers()
	if err != nil {
		return err
	}
	if !tells {
		t.log.Warn("hosts that may not use a subsystem any more stay connected until they leave: this kernel tells of no controllers", "subsystem", subsystem)
		return nil
	}
	for _, c := range all {
		if c.Subsystem != subsystem || !which(c.Host) {
			continue
		}
		// nvmet_ctrl_fatal_error ends the controller, and nothing else.
		err := t.opt.Debug.WriteFile(path.Join(subsystem, "ctrl"+number(c.ID), "state"), "fatal")
		if err := unlessGone(err); err != nil {
			return err
		}
	}
	return nil
}

// unlessGone drops errors of what is not there.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
