package lio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// firstSeen remembers since when sessions are known: the kernel does not tell.
type firstSeen map[string]time.Time

// Sessions implements engine.Engine. The kernel tells of one session of each
// initiator and portal group, and of those of dynamic ACLs the name only.
func (e *Engine) Sessions(context.Context) ([]engine.Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sessions, err := e.sessions()
	if err != nil {
		return nil, fmt.Errorf("list sessions of LIO: %w", err)
	}
	return sessions, nil
}

func (e *Engine) sessions() ([]engine.Session, error) {
	var out []engine.Session
	portals, err := e.portals()
	if err != nil {
		return nil, err
	}
	err = e.eachTarget(func(p place) error {
		w, err := e.words.target(p)
		if err != nil {
			return err
		}
		if !p.portals() {
			got, err := e.portSessions(w)
			out = append(out, got...)
			return err
		}
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			got, err := e.sessionsOf(w, tag, portals)
			if err != nil {
				return err
			}
			out = append(out, got...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	seen := firstSeen{}
	for i := range out {
		s := &out[i]
		since, known := e.first[s.ID]
		if !known {
			since = time.Now()
		}
		seen[s.ID], s.Since = since, since
	}
	e.first = seen
	return out, nil
}

func (e *Engine) sessionsOf(w targetWords, tag int, portals []config.Portal) ([]engine.Session, error) {
	tpg := w.place().tpg(tag)
	portal := onlyPortal(w.Target, tag, portals)
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return nil, err
	}
	var out []engine.Session
	for _, initiator := range acls {
		info, err := e.k.read(path.Join(tpg, "acls", initiator, "info"))
		if err != nil {
			return nil, err
		}
		s, ok := parseInfo(info)
		if !ok {
			continue
		}
		group, err := e.groupOf(tpg, initiator)
		if err != nil {
			return nil, err
		}
		luns, err := e.aclLUNs(tpg, initiator)
		if err != nil {
			return nil, err
		}
		s.ID = fmt.Sprintf("%s,%d,%s,%s", w.Target.Name, tag, initiator, s.ID)
		s.Target, s.Group, s.Initiator, s.Portal, s.LUNs = w.Target.Name, group, initiator, portal, len(luns)
		if s.Counters, err = e.aclCounters(tpg, initiator, luns); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	strangers, err := e.strangersOf(w, tpg)
	for i := range strangers {
		strangers[i].ID = fmt.Sprintf("%s,%d,%s,", w.Target.Name, tag, strangers[i].Initiator)
		strangers[i].Portal = portal
	}
	return append(out, strangers...), err
}

// aclCounters are what the LUNs of an ACL counted.
func (e *Engine) aclCounters(tpg, initiator string, luns []config.LUN) (engine.Counters, error) {
	var sum engine.Counters
	for _, l := range luns {
		c, err := e.counters(path.Join(tpg, "acls", initiator, "lun_"+strconv.Itoa(l.LUN), "statistics/scsi_auth_intr"), "num_cmds")
		if err != nil {
			return sum, err
		}
		add(&sum, c)
	}
	return sum, nil
}

// strangersOf are the sessions of dynamic ACLs.
func (e *Engine) strangersOf(w targetWords, tpg string) ([]engine.Session, error) {
	if w.place().strange != onDemand {
		return nil, nil
	}
	text, err := e.k.ReadFile(path.Join(tpg, "dynamic_sessions"))
	if err != nil {
		return nil, err
	}
	_, luns, err := e.shown(tpg)
	if err != nil {
		return nil, err
	}
	var out []engine.Session
	for _, initiator := range dynamicSessions(text) {
		out = append(out, engine.Session{Target: w.Target.Name, Group: w.hasEverybody(), Initiator: initiator, LUNs: len(luns)})
	}
	return out, nil
}

// onlyPortal is the portal that a portal group's sessions came through, if
// there is but one.
func onlyPortal(t config.Target, tag int, portals []config.Portal) string {
	name := ""
	for _, p := range portals {
		if p.Group == tag && reaches(t, p.Name) {
			if name != "" {
				return ""
			}
			name = p.Name
		}
	}
	return name
}

// What info tells of a session (lio_target_nacl_info_show).
var (
	infoSession = regexp.MustCompile(`LIO Session ID: (\d+)\s+ISID: 0x((?:[0-9a-fA-F]{2} ?){6})\s+TSIH`)
	infoAddress = regexp.MustCompile(`Address (\S+) (?:TCP|SCTP)`)
)

// parseInfo reads what an ACL tells of its session; its ID is the kernel's.
func parseInfo(info string) (engine.Session, bool) {
	m := infoSession.FindStringSubmatch(info)
	if m == nil || strings.Contains(info, "SessionType: Discovery") {
		return engine.Session{}, false
	}
	s := engine.Session{ID: m[1], ISID: strings.ToLower(strings.ReplaceAll(m[2], " ", ""))}
	if a := infoAddress.FindStringSubmatch(info); a != nil {
		s.Address = a[1]
		if host, _, err := net.SplitHostPort(a[1]); err == nil {
			s.Address = host
		}
	}
	return s, true
}

// dynamicSessions reads a list of names that has NULs in it.
func dynamicSessions(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == 0 || r == '\n' })
}

// CloseSession implements engine.Engine. LIO has no such request: another
// queue depth for an ACL ends its sessions
// (core_tpg_set_initiator_node_queue_depth), and a dynamic ACL is made one
// that can be removed. The initiator may log in again at once.
func (e *Engine) CloseSession(_ context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.closeSession(id); err != nil {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	return nil
}

func (e *Engine) closeSession(id string) error {
	sessions, err := e.sessions()
	if err != nil {
		return err
	}
	for _, s := range sessions {
		if s.ID != id {
			continue
		}
		part := strings.Split(id, ",")
		p, _, err := e.locate(s.Target)
		if err != nil {
			return err
		}
		tpg := path.Join(p.path(), "tpgt_"+part[1])
		acl := path.Join(tpg, "acls", s.Initiator)
		switch {
		case p.strange == allowed:
			return errors.New("the initiator is this machine itself; disable the target, or unmap its LUNs")
		case part[3] != "" && !p.portals():
			w, err := e.words.target(p)
			if err != nil {
				return err
			}
			return e.relogin(&w, tpg, s.Initiator)
		case part[3] == "":
			if err := e.k.mkdir(acl); err != nil {
				return err
			}
			return e.k.rmdir(acl)
		}
		depth, err := e.k.number(path.Join(acl, "cmdsn_depth"))
		if err != nil {
			return err
		}
		other := depth - 1
		if depth < 2 {
			other = depth + 1
		}
		for _, n := range []uint64{other, depth} {
			if err := e.k.WriteFile(path.Join(acl, "cmdsn_depth"), strconv.FormatUint(n, 10)); err != nil {
				return err
			}
		}
		return nil
	}
	return nil // it is gone already
}
