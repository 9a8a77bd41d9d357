package hosts

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// Sessions shows who is logged in.
func Sessions(d *frame.Desk) {
	d.List(&frame.List{Title: "Sessions", Command: "esos session list",
		Help:  "Who is logged in, and what was read and written since. Who is logged out may log in again at once; to keep one out, take it out of its group, or disable the target.",
		Empty: "Nobody is logged in.",
		Columns: []frame.Column{{Title: "initiator", Wide: true}, {Title: "target"}, {Title: "group"}, {Title: "LUNs", Right: true}, {Title: "act", Right: true},
			{Title: "read", Right: true}, {Title: "written", Right: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Sessions(ctx)
			if err != nil {
				return nil, err
			}
			rows := make([]frame.Row, len(all))
			for i, s := range all {
				rows[i] = frame.Row{ID: s.ID, Value: s, Cells: []string{s.Initiator, pick.Short(s.Target), pick.GroupName(s.Group), fmt.Sprint(s.LUNs), fmt.Sprint(s.Active),
					bytes(s.Counters.ReadBytes), bytes(s.Counters.WriteBytes)}}
				if s.LUNs == 0 {
					rows[i].Level, rows[i].Why = frame.Warn, "It sees no LUN: its group has none, or no group matches it and the default map is empty."
				}
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Does: "details", Do: func(r frame.Row) {
				if s, ok := r.Value.(engine.Session); ok {
					session(d, s)
				}
			}},
			{Key: 'o', Does: "log out", Do: func(r frame.Row) {
				if s, ok := r.Value.(engine.Session); ok {
					logOut(d, s)
				}
			}},
			{Key: 'i', Does: "take into a group", Do: func(r frame.Row) {
				if s, ok := r.Value.(engine.Session); ok {
					addInitiator(d, s.Target, "")
				}
			}},
		}})
}

// bytes is an amount for people.
func bytes(n uint64) string { return pick.Size(int64(min(n, 1<<62))) }

// session shows one of them.
func session(d *frame.Desk, s engine.Session) {
	var b strings.Builder
	for _, x := range [][2]string{
		{"Session", s.ID}, {"Initiator", s.Initiator}, {"Address", s.Address}, {"ISID", s.ISID}, {"Target", s.Target}, {"Portal", s.Portal}, {"Group", pick.GroupName(s.Group)},
		{"Since", s.Since.Format(time.DateTime)}, {"LUNs", fmt.Sprint(s.LUNs)}, {"Active commands", fmt.Sprint(s.Active)},
		{"Read", fmt.Sprintf("%s in %d commands%s", bytes(s.Counters.ReadBytes), s.Counters.Reads, average(s.Counters.ReadLatency, s.Counters.Reads))},
		{"Written", fmt.Sprintf("%s in %d commands%s", bytes(s.Counters.WriteBytes), s.Counters.Writes, average(s.Counters.WriteLatency, s.Counters.Writes))},
		{"Other commands", fmt.Sprint(s.Counters.Other)}, {"Errors", fmt.Sprint(s.Counters.Errors)},
	} {
		if x[1] != "" {
			fmt.Fprintf(&b, "%-16s %s\n", x[0], x[1])
		}
	}
	d.Page(&frame.Page{Title: "Session of " + s.Initiator, Command: "esos session list", Text: b.String(), Help: "One session, as it was when this was opened.",
		Keys: []frame.PageKey{{Key: 'o', Does: "log out", Do: func() { logOut(d, s) }}}})
}

// average is how long a command took, where the engine tells it.
func average(h engine.Histogram, n uint64) string {
	if n == 0 || h.Sum == 0 {
		return ""
	}
	return fmt.Sprintf(", %s each", (h.Sum / time.Duration(n)).Round(time.Microsecond))
}

func logOut(d *frame.Desk, s engine.Session) {
	d.Ask("Log out "+s.Initiator+"?", "Commands that are under way are given up. It may log in again at once; to keep it out, take it out of its group, or disable the target.", "Log out", func() {
		d.Do("Log out "+s.Initiator, func(ctx context.Context) error { return d.Client().CloseSession(ctx, s.ID) },
			func() { d.Toast(frame.Good, s.Initiator+" is logged out.") })
	})
}
