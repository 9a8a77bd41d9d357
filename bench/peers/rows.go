package main

import (
	"context"
	"fmt"
)

// row is one line of the table: a load, where it runs, and what is wanted.
type row struct {
	name   string
	args   []string // of iblast
	pinned bool     // server and client share core 0
	bar    bar
}

// bar is what a row must reach: at least so many I/Os, at most so much CPU for
// each, as ratios to the peer. Zero: nothing is asked.
type bar struct{ iops, cpu float64 }

// rows are those that are run beside tgt.
func rows() []row {
	free := map[string]bar{"1": {iops: 1.5}, "8": {2, 0.5}, "32": {2.5, 0.4}}
	pinned := map[string]bar{"1": {1.1, 0.9}, "32": {2.5, 0.4}}
	var all []row
	for _, q := range []string{"1", "8", "32", "64"} {
		all = append(all,
			row{"rr4k-q" + q, []string{"-q", q}, false, free[q]},
			row{"rw4k-q" + q, []string{"-q", q, "-w"}, false, free[q]})
	}
	for _, q := range []string{"1", "8", "32", "64"} {
		all = append(all,
			row{"rr4k-q" + q + "-pin", []string{"-q", q}, true, pinned[q]},
			row{"rw4k-q" + q + "-pin", []string{"-q", q, "-w"}, true, pinned[q]})
	}
	for _, size := range []struct{ name, bytes string }{{"128k", "131072"}, {"1m", "1048576"}} {
		all = append(all,
			row{"seqr" + size.name + "-q8", []string{"-q", "8", "-s", "-b", size.bytes}, false, bar{1.5, 0.6}},
			row{"seqw" + size.name + "-q8", []string{"-q", "8", "-s", "-b", size.bytes, "-w"}, false, bar{1.5, 0.6}})
	}
	for _, q := range []string{"8", "32"} {
		all = append(all,
			row{"4sess-rr4k-q" + q, []string{"-n", "4", "-q", q}, false, bar{}},
			row{"4sess-rw4k-q" + q, []string{"-n", "4", "-q", q, "-w"}, false, bar{}})
	}
	return append(all,
		row{"4sess-seqr128k-q8", []string{"-n", "4", "-q", "8", "-s", "-b", "131072"}, false, bar{}},
		row{"4sess-seqw128k-q8", []string{"-n", "4", "-q", "8", "-s", "-b", "131072", "-w"}, false, bar{}})
}

// beside runs the rows against both targets by turns.
func (b *bench) beside(ctx context.Context, ours, peer *target) error {
	fmt.Printf("%-20s %9s %9s %6s %9s %9s %6s %7s %7s %7s %7s  %s\n", "row", "esos iops", "tgt iops", "ratio",
		"esos cpu", "tgt cpu", "ratio", "p50 us", "tgt", "p99 us", "tgt", "bar")
	for _, r := range rows() {
		if !b.want.MatchString(r.name) {
			continue
		}
		var got [2][]result
		for range b.rounds {
			for i, t := range []*target{ours, peer} {
				m, err := b.load(ctx, t, r, b.secs)
				if err != nil {
					return fmt.Errorf("row %s, target %s: %w", r.name, t.name, err)
				}
				got[i] = append(got[i], m)
			}
		}
		pick := func(i int, f func(result) float64) float64 { return median(got[i], f) }
		iops := ratio(got[0], got[1], func(r result) float64 { return r.iops })
		cpu := ratio(got[0], got[1], func(r result) float64 { return r.cpu })
		fmt.Printf("%-20s %9.0f %9.0f %6.2f %9.3f %9.3f %6.2f %7.0f %7.0f %7.0f %7.0f  %s\n", r.name,
			pick(0, ofIOPS), pick(1, ofIOPS), iops, pick(0, ofCPU), pick(1, ofCPU), cpu,
			pick(0, ofP50), pick(1, ofP50), pick(0, ofP99), pick(1, ofP99), b.judge(r, iops, cpu))
	}
	return nil
}

// judge says whether a row reaches its bar.
func (b *bench) judge(r row, iops, cpu float64) string {
	if r.bar == (bar{}) {
		return ""
	}
	text := fmt.Sprintf(">=%.2f", r.bar.iops)
	if r.bar.cpu > 0 {
		text += fmt.Sprintf(" <=%.2f", r.bar.cpu)
	}
	if iops < r.bar.iops || r.bar.cpu > 0 && cpu > r.bar.cpu {
		b.missed = append(b.missed, fmt.Sprintf("%s: %.2f times the I/Os, %.2f of the CPU; wanted %s", r.name, iops, cpu, text))
		return text + " MISSED"
	}
	return text + " held"
}
