package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// check is something that ESOS has to hold by itself.
type check struct {
	name string
	run  func(ctx context.Context, b *bench, t *target) (seen string, held bool, err error)
}

func alone() []check {
	return []check{
		{"4sess-of-1-read-32", sessionsOfOne(32)},
		{"4sess-of-1-write-32", sessionsOfOne(32, "-w")},
		{"4sess-of-1-read-128", sessionsOfOne(128)},
		{"4sess-of-1-write-128", sessionsOfOne(128, "-w")},
		{"fair-64-read-q1", fair("-q", "1")},
		{"fair-64-read-q8", fair("-q", "8")},
		{"fair-64-write-q8", fair("-q", "8", "-w")},
		{"tail-read-q1", tail()},
		{"tail-write-q1", tail("-w")},
		{"idle-256", idle},
	}
}

// byItself runs the checks.
func (b *bench) byItself(ctx context.Context, ours *target) error {
	for _, c := range alone() {
		if !b.want.MatchString(c.name) {
			continue
		}
		seen, held, err := c.run(ctx, b, ours)
		if err != nil {
			return fmt.Errorf("row %s: %w", c.name, err)
		}
		verdict := "held"
		if !held {
			verdict = "MISSED"
			b.missed = append(b.missed, c.name+": "+seen)
		}
		fmt.Printf("%-20s %s  %s\n", c.name, seen, verdict)
	}
	return nil
}

// sessionsOfOne compares four sessions with one of their depth in all.
func sessionsOfOne(depth int, args ...string) func(context.Context, *bench, *target) (string, bool, error) {
	single := append([]string{"-q", strconv.Itoa(depth)}, args...)
	shared := append([]string{"-n", "4", "-q", strconv.Itoa(depth / 4)}, args...)
	return func(ctx context.Context, b *bench, t *target) (string, bool, error) {
		var one, four []result
		for range b.rounds {
			m, err := b.load(ctx, t, row{name: "1sess" + strings.Join(single, ""), args: single}, b.secs)
			if err != nil {
				return "", false, err
			}
			one = append(one, m)
			if m, err = b.load(ctx, t, row{name: "4sess" + strings.Join(shared, ""), args: shared}, b.secs); err != nil {
				return "", false, err
			}
			four = append(four, m)
		}
		r := ratio(four, one, ofIOPS)
		return fmt.Sprintf("4 sessions of depth %d: %.0f I/Os a second, %.2f times those of one of depth %d (bar 1.00)", depth/4, median(four, ofIOPS), r, depth), r >= 1, nil
	}
}

// fair says what the slowest of 64 sessions gets of the mean.
func fair(args ...string) func(context.Context, *bench, *target) (string, bool, error) {
	return func(ctx context.Context, b *bench, t *target) (string, bool, error) {
		all, err := b.repeat(ctx, t, row{name: "64sess" + strings.Join(args, ""), args: append([]string{"-n", "64"}, args...)})
		if err != nil {
			return "", false, err
		}
		slowest := median(all, ofSlowest)
		return fmt.Sprintf("the slowest of 64 sessions does %.2f of the mean, %.0f I/Os a second in all (bar 0.50)", slowest, median(all, ofIOPS)), slowest >= 0.5, nil
	}
}

// tail compares the 99th percentile of latency at depth 1 with the median.
func tail(args ...string) func(context.Context, *bench, *target) (string, bool, error) {
	return func(ctx context.Context, b *bench, t *target) (string, bool, error) {
		all, err := b.repeat(ctx, t, row{name: "tail-q1" + strings.Join(args, ""), args: append([]string{"-q", "1"}, args...)})
		if err != nil {
			return "", false, err
		}
		r := median(all, func(r result) float64 { return r.p99 / r.p50 })
		return fmt.Sprintf("the 99th percentile of %.0f us is %.2f times the median of %.0f us (bar 3.00)", median(all, ofP99), r, median(all, ofP50)), r <= 3, nil
	}
}

func (b *bench) repeat(ctx context.Context, t *target, r row) ([]result, error) {
	var all []result
	for range b.rounds {
		m, err := b.load(ctx, t, r, b.secs)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// idle holds 256 sessions open for ten seconds and counts what they cost: the
// process's CPU time has a resolution of 10 ms.
func idle(ctx context.Context, b *bench, t *target) (string, bool, error) {
	v, err := b.iblast(ctx, t, false, 15, "-n", "256", "-i", "10")
	if err != nil {
		return "", false, err
	}
	cpu, kib := v["idle_cpu_s"], v["per_session_kB"]
	return fmt.Sprintf("256 idle sessions: %.2f s of CPU in 10 s (bar 0.01), %.1f KiB of memory each (bar 32)", cpu, kib), cpu <= 0.01 && kib <= 32, nil
}
