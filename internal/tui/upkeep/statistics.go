package upkeep

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// statistics shows what each LUN does now: the difference of its counters from
// one look to the next.
func statistics(d *frame.Desk) {
	m := &meter{now: d.Now, before: map[string]sample{}}
	d.List(&frame.List{Title: "Statistics", Command: "esos statistics",
		Help: "What each LUN did since the look before, on average: reads and writes a second, MB/s read (r) and written (w), and how long one took. " +
			"Enter shows its counters since it came up. Engines in the kernel do not tell latencies.",
		Empty: "No LUN is served.",
		Columns: []frame.Column{{Title: "device"}, {Title: "reads/s", Right: true}, {Title: "writes/s", Right: true}, {Title: "MB/s r", Right: true},
			{Title: "MB/s w", Right: true}, {Title: "time r", Right: true}, {Title: "time w", Right: true}, {Title: "LUN", Right: true},
			{Title: "target, group", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			s, err := d.Client().Statistics(ctx)
			if err != nil {
				return nil, err
			}
			return m.rows(s), nil
		},
		Keys: []frame.RowKey{{Key: 's', Does: "counters", Do: func(r frame.Row) { showCounters(d, r.Value.(engine.LUNStatistics)) }}}})
}

// meter makes rates of counters. One look ends before the next begins.
type meter struct {
	now    func() time.Time
	before map[string]sample
}

// sample is a LUN's counters at a time.
type sample struct {
	at    time.Time
	count engine.Counters
	cells []string // the rates that were shown then
}

func (m *meter) rows(s engine.Statistics) []frame.Row {
	now := m.now()
	seen := map[string]sample{}
	var rows []frame.Row
	for _, l := range s.LUNs {
		id := fmt.Sprintf("%s/%s/%d", l.Target, l.Group, l.LUN)
		cells := []string{"-", "-", "-", "-", "-", "-"}
		old, known := m.before[id]
		if took := now.Sub(old.at).Seconds(); known && took > 0 {
			cells = rates(old.count, l.Counters, took)
		} else if known {
			cells = old.cells
		}
		seen[id] = sample{now, l.Counters, cells}
		where := short(l.Target)
		if l.Group != "" {
			where += ", " + l.Group
		}
		row := frame.Row{ID: id, Value: l, Cells: append(append([]string{l.Device}, cells...), fmt.Sprint(l.LUN), where)}
		if n := l.Counters.Errors; n > old.count.Errors && known {
			row.Level, row.Why = frame.Bad, fmt.Sprintf("%d commands failed since the look before.", n-old.count.Errors)
		}
		rows = append(rows, row)
	}
	m.before = seen
	return rows
}

// short is a target's name without what all iSCSI names of an array begin with.
func short(target string) string {
	if i := strings.LastIndexByte(target, ':'); i >= 0 && strings.HasPrefix(target, "iqn.") {
		return target[i+1:]
	}
	return target
}

// rates are what a LUN did in some seconds. Counters that went back began anew.
func rates(old, now engine.Counters, seconds float64) []string {
	if now.Reads < old.Reads || now.Writes < old.Writes || now.ReadBytes < old.ReadBytes || now.WriteBytes < old.WriteBytes {
		old = engine.Counters{}
	}
	each := func(a, b uint64) string { return fmt.Sprintf("%.0f", float64(b-a)/seconds) }
	mb := func(a, b uint64) string { return fmt.Sprintf("%.1f", float64(b-a)/seconds/1e6) }
	latency := func(a, b engine.Histogram, n uint64) string { return average(b.Sum-a.Sum, n) }
	return []string{each(old.Reads, now.Reads), each(old.Writes, now.Writes), mb(old.ReadBytes, now.ReadBytes), mb(old.WriteBytes, now.WriteBytes),
		latency(old.ReadLatency, now.ReadLatency, now.Reads-old.Reads), latency(old.WriteLatency, now.WriteLatency, now.Writes-old.Writes)}
}

func average(sum time.Duration, n uint64) string {
	if n == 0 || sum <= 0 {
		return "-"
	}
	return (sum / time.Duration(n)).Round(time.Microsecond).String()
}

// showCounters shows what a LUN did since it came up.
func showCounters(d *frame.Desk, l engine.LUNStatistics) {
	var b strings.Builder
	n := l.Counters
	fmt.Fprintf(&b, "LUN %d of target %s, device %s, since it came up:\n\n", l.LUN, l.Target, l.Device)
	fmt.Fprintf(&b, "            commands          bytes    average\n")
	fmt.Fprintf(&b, "Reads   %12d %14s %10s\n", n.Reads, size(n.ReadBytes), average(n.ReadLatency.Sum, n.Reads))
	fmt.Fprintf(&b, "Writes  %12d %14s %10s\n", n.Writes, size(n.WriteBytes), average(n.WriteLatency.Sum, n.Writes))
	fmt.Fprintf(&b, "Others  %12d\nErrors  %12d\n", n.Other, n.Errors)
	if n.ReadLatency.Sum+n.WriteLatency.Sum > 0 {
		b.WriteString("\nHow long they took:\n\n                   reads       writes\n")
		bounds := engine.LatencyBounds()
		for i := range n.ReadLatency.Buckets {
			r, w := n.ReadLatency.Buckets[i], n.WriteLatency.Buckets[i]
			if r+w == 0 {
				continue
			}
			name := "longer"
			if i < len(bounds) {
				name = "under " + bounds[i].String()
			}
			fmt.Fprintf(&b, "%-12s %11d %12d\n", name, r, w)
		}
	}
	d.Page(&frame.Page{Title: "Counters", Command: "esos statistics", Text: b.String(), Help: "Counters of all sessions of this LUN together, ended ones included."})
}

// size is a number of bytes for people.
func size(n uint64) string { return pick.Size(int64(min(n, 1<<62))) }
