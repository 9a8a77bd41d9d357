package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Statistics implements engine.Engine. LIO counts commands of all kinds in one
// number (here: Other), and data in whole MiB; it knows nothing of how long
// commands took. Counters live as long as their ACL or LUN.
func (e *Engine) Statistics(context.Context) (engine.Statistics, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out engine.Statistics
	err := e.eachTarget(func(p place) error {
		w, err := e.words.target(p)
		if err != nil {
			return err
		}
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		sums := sums{target: p.name, index: map[string]int{}, out: &out}
		for _, tag := range tags {
			if err := e.statisticsOf(w, tag, &sums); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return engine.Statistics{}, fmt.Errorf("read statistics of LIO: %w", err)
	}
	return out, nil
}

// sums adds up the counters of a target's LUNs.
type sums struct {
	target string
	index  map[string]int
	out    *engine.Statistics
}

func (s *sums) add(group string, l config.LUN, c engine.Counters) {
	key := group + "/" + strconv.Itoa(l.LUN)
	i, ok := s.index[key]
	if !ok {
		i = len(s.out.LUNs)
		s.index[key] = i
		s.out.LUNs = append(s.out.LUNs, engine.LUNStatistics{Target: s.target, Group: group, LUN: l.LUN, Device: l.Device})
	}
	add(&s.out.LUNs[i].Counters, c)
}

func (e *Engine) statisticsOf(w targetWords, tag int, s *sums) error {
	tpg := w.place().tpg(tag)
	acls, err := e.k.list(path.Join(tpg, "acls"))
	if err != nil {
		return err
	}
	for _, initiator := range acls {
		group, err := e.groupOf(tpg, initiator)
		if err != nil {
			return err
		}
		luns, err := e.aclLUNs(tpg, initiator)
		if err != nil {
			return err
		}
		for _, l := range luns {
			c, err := e.counters(path.Join(tpg, "acls", initiator, "lun_"+strconv.Itoa(l.LUN), "statistics/scsi_auth_intr"), "num_cmds")
			if err != nil {
				return err
			}
			s.add(group, l, c)
		}
	}
	on, luns, err := e.shown(tpg)
	if err != nil || !on {
		return err
	}
	for _, l := range luns {
		c, err := e.shownCounters(tpg, l)
		if err != nil {
			return err
		}
		s.add(w.hasEverybody(), l, c)
	}
	return nil
}

// shownCounters are what a LUN that everybody sees counted.
func (e *Engine) shownCounters(tpg string, l config.LUN) (engine.Counters, error) {
	return e.counters(path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.LUN), "statistics/scsi_tgt_port"), "in_cmds")
}

// counters reads a directory of statistics; what a kernel does not count is 0.
func (e *Engine) counters(at, commands string) (engine.Counters, error) {
	var n [3]uint64
	for i, file := range []string{commands, "read_mbytes", "write_mbytes"} {
		v, err := e.k.number(path.Join(at, file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return engine.Counters{}, err
		}
		n[i] = v
	}
	return engine.Counters{Other: n[0], ReadBytes: n[1] << 20, WriteBytes: n[2] << 20}, nil
}

func add(to *engine.Counters, c engine.Counters) {
	to.Other += c.Other
	to.ReadBytes += c.ReadBytes
	to.WriteBytes += c.WriteBytes
}
