package home

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// session is a session with what it does now.
type session struct {
	engine.Session
	known       bool // it was there at the last look, so there are rates
	iops        float64
	read, write float64       // bytes a second
	latency     time.Duration // of a command, on average
}

// counted is a session's counters as they were.
type counted struct {
	engine.Counters
	at time.Time
}

// traffic is the throughput of the last looks, the newest last.
type traffic struct {
	known             bool
	iops              float64
	reads, writes     []float64
	readNow, writeNow float64
}

// history is how many looks a graph can show.
const history = 256

// count takes in a look at the sessions.
func (s *seen) count(now []engine.Session, at time.Time) {
	before := s.before
	s.before = make(map[string]counted, len(now))
	s.sessions = make([]session, 0, len(now))
	t := &s.traffic
	t.known, t.iops, t.readNow, t.writeNow = before != nil, 0, 0, 0
	for _, x := range now {
		v := session{Session: x}
		s.before[x.ID] = counted{x.Counters, at}
		if was, ok := before[x.ID]; ok {
			v.since(was, at)
		}
		t.iops += v.iops
		t.readNow += v.read
		t.writeNow += v.write
		s.sessions = append(s.sessions, v)
	}
	if t.known {
		t.reads = push(t.reads, t.readNow)
		t.writes = push(t.writes, t.writeNow)
	}
	// The busiest first; those at rest stay in their order.
	slices.SortStableFunc(s.sessions, func(a, b session) int { return cmp.Compare(b.iops, a.iops) })
}

// since works out rates. Counters that went down began anew.
func (v *session) since(was counted, at time.Time) {
	now := v.Counters
	seconds := at.Sub(was.at).Seconds()
	if seconds <= 0 || now.Reads < was.Reads || now.Writes < was.Writes || now.Other < was.Other {
		return
	}
	v.known = true
	io := now.Reads - was.Reads + now.Writes - was.Writes
	v.iops = float64(io) / seconds
	v.read = float64(now.ReadBytes-min(was.ReadBytes, now.ReadBytes)) / seconds
	v.write = float64(now.WriteBytes-min(was.WriteBytes, now.WriteBytes)) / seconds
	if took := now.ReadLatency.Sum - was.ReadLatency.Sum + now.WriteLatency.Sum - was.WriteLatency.Sum; io > 0 && took > 0 {
		v.latency = took / time.Duration(io)
	}
}

func push(list []float64, v float64) []float64 {
	list = append(list, v)
	return list[max(0, len(list)-history):]
}

// megabytes is a rate for people.
func megabytes(bytes float64) string {
	switch mb := bytes / 1e6; {
	case mb >= 100:
		return fmt.Sprintf("%.0f", mb)
	case mb >= 10:
		return fmt.Sprintf("%.1f", mb)
	default:
		return fmt.Sprintf("%.2f", mb)
	}
}

// short is a time for people: 85us, 1.2ms, 3.4s.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d.Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// graph draws values, the newest at the right, in a line of a width: of block
// characters, or of ones that every terminal has.
func graph(values []float64, width int, blocks bool) string {
	steps := []rune(" .:-=+*#")
	if blocks {
		steps = []rune(" ▁▂▃▄▅▆▇█")
	}
	values = values[max(0, len(values)-width):]
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	out := make([]rune, 0, width)
	for range width - len(values) {
		out = append(out, ' ')
	}
	for _, v := range values {
		i := 0
		if v > 0 { // whatever there is shows
			i = 1 + int(v/most*float64(len(steps)-2)+0.5)
		}
		out = append(out, steps[min(i, len(steps)-1)])
	}
	return string(out)
}
