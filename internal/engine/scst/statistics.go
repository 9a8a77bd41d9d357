package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/esos-project/esos/internal/engine"
)

// Statistics implements engine.Engine. SCST counts by session and by target,
// not by LUN: the sessions of a host group are added up, and told with the
// group's LUN if it has but one. Those of ended sessions are only in the
// target's own numbers.
func (e *Engine) Statistics(ctx context.Context) (engine.Statistics, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.statistics(ctx)
	if err != nil {
		return engine.Statistics{}, fmt.Errorf("read statistics of SCST: %w", err)
	}
	return s, nil
}

func (e *Engine) statistics(ctx context.Context) (engine.Statistics, error) {
	var out engine.Statistics
	targets, err := e.targets(ctx)
	if err != nil {
		return out, err
	}
	for _, p := range targets {
		sums, err := e.sums(ctx, p)
		if err != nil {
			return out, err
		}
		groups, err := e.groups(p)
		if err != nil {
			return out, err
		}
		for _, g := range append([]string{""}, groups...) {
			luns, err := e.lunsOf(ctx, p.luns(g))
			if err != nil {
				return out, err
			}
			for _, l := range luns {
				s := engine.LUNStatistics{Target: p.name, Group: g, LUN: l.LUN.LUN, Device: l.Device}
				if len(luns) == 1 {
					s.Counters = sums[g]
				}
				out.LUNs = append(out.LUNs, s)
			}
		}
	}
	return out, nil
}

// sums adds up the counters of a target's sessions by host group.
func (e *Engine) sums(ctx context.Context, p place) (map[string]engine.Counters, error) {
	names, err := e.k.list(path.Join(p.path(), "sessions"))
	if err != nil {
		return nil, err
	}
	out := map[string]engine.Counters{}
	for _, name := range names {
		at := path.Join(p.path(), "sessions", name)
		group, err := e.groupOf(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := reader{ctx: ctx, k: e.k, at: at}
		c := counters(&r)
		if r.err != nil {
			return nil, r.err
		}
		sum := out[group]
		sum.Reads += c.Reads
		sum.Writes += c.Writes
		sum.Other += c.Other
		sum.ReadBytes += c.ReadBytes
		sum.WriteBytes += c.WriteBytes
		out[group] = sum
	}
	return out, nil
}
