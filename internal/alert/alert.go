// Package alert tells people what of the machine needs them: rules that look
// at the machine, and the alerts that are active because of them. An alert
// stands as long as its cause does; what becomes of it goes to the event log.
//
//	Board      the active alerts, each once
//	Watcher    runs the rules when the kernel tells of a change, and from time to time
//	Medium     the rule about what the system was booted from
//	netlink/   what the kernel tells
package alert

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Severity says how much an alert matters.
type Severity string

// Severities.
const (
	Critical Severity = "critical" // data or service is at risk: act now
	Warning  Severity = "warning"  // it works, but not for ever
)

// Severities returns all there are, the gravest first.
func Severities() []Severity { return []Severity{Critical, Warning} }

// Alert is something that needs somebody.
type Alert struct {
	ID       string   // of its cause, such as medium.lost; one cause, one alert
	Severity Severity // how much it matters
	Object   string   // what it is about
	Message  string   // what is wrong, what it means and what to do
	Since    time.Time
}

// Board holds the active alerts. Its methods may be called at the same time.
type Board struct {
	event func(kind, object, message string)
	now   func() time.Time

	mu     sync.Mutex
	active map[string]Alert
}

// NewBoard makes an empty board. event hears of each alert that comes or goes;
// it must not call the board.
func NewBoard(event func(kind, object, message string)) *Board {
	return &Board{event: event, now: time.Now, active: map[string]Alert{}}
}

// Raise makes an alert active. One that is active already is brought up to
// date in silence.
func (b *Board) Raise(a Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, had := b.active[a.ID]
	if a.Since = old.Since; !had {
		a.Since = b.now().UTC()
	}
	b.active[a.ID] = a
	if !had {
		b.event(a.ID, a.Object, a.Message)
	}
}

// Clear takes an alert away, with an event of that kind. Nothing happens if it
// is not active.
func (b *Board) Clear(id, kind, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a, had := b.active[id]; had {
		delete(b.active, id)
		b.event(kind, a.Object, message)
	}
}

// Active returns the active alerts, the gravest first and then the oldest.
func (b *Board) Active() []Alert {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Alert, 0, len(b.active))
	for _, a := range b.active {
		all = append(all, a)
	}
	rank := func(s Severity) int { return slices.Index(Severities(), s) }
	slices.SortFunc(all, func(x, y Alert) int {
		return cmp.Or(cmp.Compare(rank(x.Severity), rank(y.Severity)), x.Since.Compare(y.Since), cmp.Compare(x.ID, y.ID))
	})
	return all
}
