package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// portSessions are the sessions of a target that is a port. The kernel tells
// less of them than of iSCSI's: that there is one, in the statistics of a LUN
// that its initiator sees.
func (e *Engine) portSessions(w targetWords) ([]engine.Session, error) {
	tpg := w.place().tpg(config.LoneTag)
	if w.place().strange == allowed {
		return e.localSession(w, tpg)
	}
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return nil, err
	}
	var out []engine.Session
	for _, initiator := range acls {
		group, err := e.groupOf(tpg, initiator)
		if err != nil {
			return nil, err
		}
		luns, err := e.aclLUNs(tpg, initiator)
		if err != nil {
			return nil, err
		}
		in, err := e.loggedIn(tpg, initiator, luns)
		if err != nil {
			return nil, err
		}
		if !in {
			continue
		}
		s := engine.Session{ID: portSessionID(w, initiator, "acl"), Target: w.Target.Name, Group: group, Initiator: initiator, LUNs: len(luns)}
		if s.Counters, err = e.aclCounters(tpg, initiator, luns); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	strangers, err := e.strangersOf(w, tpg)
	for i := range strangers {
		strangers[i].ID = portSessionID(w, strangers[i].Initiator, "")
	}
	return append(out, strangers...), err
}

func portSessionID(w targetWords, initiator, kind string) string {
	return fmt.Sprintf("%s,%d,%s,%s", w.Target.Name, config.LoneTag, initiator, kind)
}

// loggedIn says whether an ACL has a session: only then its LUNs have an
// initiator port (target_stat_iport_port_ident_show).
func (e *Engine) loggedIn(tpg, initiator string, luns []config.LUN) (bool, error) {
	for _, l := range luns {
		_, err := e.k.read(path.Join(tpg, "acls", initiator, "lun_"+strconv.Itoa(l.LUN), "statistics/scsi_att_intr_port/port_ident"))
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, unix.ENODEV) && !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	return false, nil
}

// localSession is this machine, logged in to its own target.
func (e *Engine) localSession(w targetWords, tpg string) ([]engine.Session, error) {
	there, err := e.k.exists(tpg)
	if err != nil || !there {
		return nil, err
	}
	name, err := e.nexus(tpg)
	if err != nil || name == "" {
		return nil, err
	}
	_, luns, err := e.shown(tpg)
	if err != nil {
		return nil, err
	}
	s := engine.Session{ID: portSessionID(w, name, "local"), Target: w.Target.Name, Initiator: name, LUNs: len(luns)}
	for _, l := range luns {
		c, err := e.shownCounters(tpg, l)
		if err != nil {
			return nil, err
		}
		add(&s.Counters, c)
	}
	return []engine.Session{s}, nil
}

// relogin ends the session of an ACL by making the ACL anew.
func (e *Engine) relogin(w *targetWords, tpg, initiator string) error {
	group, err := e.groupOf(tpg, initiator)
	if err != nil {
		return err
	}
	luns, err := e.aclLUNs(tpg, initiator)
	if err != nil {
		return err
	}
	if err := e.dropACL(tpg, initiator); err != nil {
		return err
	}
	if err := e.putACL(w, tpg, group, initiator); err != nil {
		return err
	}
	for _, l := range luns {
		if err := e.mapLUN(tpg, initiator, l); err != nil {
			return err
		}
	}
	return nil
}
