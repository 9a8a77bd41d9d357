package scst

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Sessions implements engine.Engine.
func (e *Engine) Sessions(ctx context.Context) ([]engine.Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	sessions, err := e.sessions(ctx)
	if err != nil {
		return nil, fmt.Errorf("list sessions of SCST: %w", err)
	}
	return sessions, nil
}

func (e *Engine) sessions(ctx context.Context) ([]engine.Session, error) {
	targets, err := e.targets(ctx)
	if err != nil {
		return nil, err
	}
	portals, err := e.portals()
	if err != nil {
		return nil, err
	}
	var out []engine.Session
	for _, p := range targets {
		names, err := e.k.list(path.Join(p.path(), "sessions"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			s, err := e.session(ctx, p, name, portals)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it ended while it was looked at
			}
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	seen := map[string]time.Time{}
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

// session reads one of a target.
func (e *Engine) session(ctx context.Context, p place, name string, portals []config.Portal) (engine.Session, error) {
	at := path.Join(p.path(), "sessions", name)
	s := engine.Session{Target: p.name}
	var err error
	if s.Group, err = e.groupOf(at); err != nil {
		return s, err
	}
	if s.Initiator, err = e.k.read(ctx, path.Join(at, "initiator_name")); err != nil {
		return s, err
	}
	luns, err := e.k.list(p.luns(s.Group))
	if err != nil {
		return s, err
	}
	s.LUNs = len(luns)
	r := reader{ctx: ctx, k: e.k, at: at}
	sid := r.text("sid")
	s.ID = strings.Join([]string{string(p.driver), p.name, name, sid}, ",")
	s.ISID = isid(sid)
	s.Active = int(r.number("active_commands"))
	s.Counters = counters(&r)
	if r.err != nil {
		return s, r.err
	}
	if p.driver != config.DriverISCSI {
		return s, nil
	}
	return s, e.connection(ctx, at, &s, portals)
}

// isid is the initiator's part of a session's identifier: its first six bytes
// (union iscsi_sid), which SCST writes as the number that this machine takes
// all eight for.
func isid(sid string) string {
	n, err := strconv.ParseUint(sid, 16, 64)
	if err != nil {
		return ""
	}
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], n)
	return hex.EncodeToString(b[:6])
}

// plain is an address as we write it; SCST has brackets around those of IPv6,
// and all their zeros.
func plain(address string) string {
	a, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err != nil {
		return address
	}
	return a.String()
}

// connection reads where the connection of a session is from and to: it is a
// directory of its own.
func (e *Engine) connection(ctx context.Context, at string, s *engine.Session, portals []config.Portal) error {
	names, err := e.k.list(at)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == "luns" || name == "latency" || strings.HasPrefix(name, "lun") {
			continue
		}
		address, there, err := e.k.optional(ctx, path.Join(at, name, "ip"))
		if err != nil && !isNoDirectory(err) {
			return err
		}
		if !there {
			continue
		}
		s.Address = plain(address)
		to, _, err := e.k.optional(ctx, path.Join(at, name, "target_ip"))
		if err != nil {
			return err
		}
		for _, p := range portals {
			if a := pattern(p.Address); a == "" || to != "" && wild(a, plain(to)) {
				s.Portal = p.Name
				break
			}
		}
	}
	return nil
}

// groupOf is the host group that a session belongs to, by its link to a map.
func (e *Engine) groupOf(session string) (string, error) {
	to, err := e.k.Readlink(path.Join(session, "luns"))
	if err != nil {
		return "", err
	}
	if dir := path.Dir(to); path.Base(path.Dir(dir)) == "ini_groups" {
		return path.Base(dir), nil
	}
	return "", nil
}

// counters reads those of a session.
func counters(r *reader) engine.Counters {
	return engine.Counters{
		Reads: r.number("read_cmd_count"), Writes: r.number("write_cmd_count"),
		Other:     r.number("none_cmd_count") + r.number("bidi_cmd_count") + r.number("unknown_cmd_count"),
		ReadBytes: r.number("read_io_count_kb") << 10, WriteBytes: r.number("write_io_count_kb") << 10,
	}
}

// CloseSession implements engine.Engine. The initiator may log in again at
// once.
func (e *Engine) CloseSession(ctx context.Context, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.closeSession(ctx, id); err != nil {
		return fmt.Errorf("close session %s: %w", id, err)
	}
	return nil
}

func (e *Engine) closeSession(ctx context.Context, id string) error {
	part := strings.SplitN(id, ",", 3)
	if len(part) < 3 {
		return nil // none of ours, so that it is gone already
	}
	name, sid := part[2], ""
	if i := strings.LastIndexByte(name, ','); i >= 0 {
		name, sid = name[:i], name[i+1:]
	}
	at := path.Join(place{config.Driver(part[0]), part[1]}.path(), "sessions", name)
	now, _, err := e.k.optional(ctx, path.Join(at, "sid"))
	if err != nil || now != sid {
		return err // another one has its name now
	}
	return e.forceClose(ctx, at)
}

// forceClose has a session end; one that has ended is no error.
func (e *Engine) forceClose(ctx context.Context, at string) error {
	err := e.k.write(ctx, path.Join(at, "force_close"), "1")
	if errors.Is(err, fs.ErrNotExist) {
		there, look := e.k.exists(at)
		if look != nil || !there {
			return look
		}
		return fmt.Errorf("this driver of SCST cannot end sessions, and %s is open; log it out at the initiator", path.Base(at))
	}
	return err
}

// closeAll ends the sessions of some groups of a target.
func (e *Engine) closeAll(ctx context.Context, p place, which func(group string) bool) error {
	return e.closeSome(ctx, p, func(group, _ string) bool { return which(group) })
}

// closeSome ends some sessions of a target, and waits until they are gone:
// keeping initiators out does not drop who is logged in.
func (e *Engine) closeSome(ctx context.Context, p place, which func(group, initiator string) bool) error {
	told := map[string]bool{}
	for end := time.Now().Add(e.opt.Patience); ; {
		names, err := e.k.list(path.Join(p.path(), "sessions"))
		if err != nil {
			return err
		}
		left := ""
		for _, name := range names {
			at := path.Join(p.path(), "sessions", name)
			group, err := e.groupOf(at)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			initiator, err := e.k.read(ctx, path.Join(at, "initiator_name"))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if !which(group, initiator) {
				continue
			}
			left = initiator
			if told[name] {
				continue
			}
			if err := e.endSession(ctx, p, name); err != nil {
				return err
			}
			told[name] = true
		}
		if left == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the session of initiator %s does not end (%s were waited for); log it out there, and try again", left, e.opt.Patience)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the session of initiator %s to end: %w", left, ctx.Err())
		case <-time.After(e.opt.Busy):
		}
	}
}

// endSession ends one: that of this machine itself is one that was made.
func (e *Engine) endSession(ctx context.Context, p place, name string) error {
	if p.driver == config.DriverLocal {
		return e.k.write(ctx, path.Join(driverPath(p.driver), "mgmt"), "del_session "+p.name+" "+name)
	}
	return e.forceClose(ctx, path.Join(p.path(), "sessions", name))
}
