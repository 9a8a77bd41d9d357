package mail

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/config"
)

// Failed is the alert of mail that does not get out. It is not mailed itself.
const Failed = "mail.failed"

// Notifier decides which alerts are mailed. It compares what is active with
// what was told: an alert is told once however often its cause is looked at,
// and however often the daemon is restarted. One that comes and goes is told
// when it came, and when it stayed away for a while; the more often it comes
// back, the longer that is.
type Notifier struct {
	Host string
	File string // what was told, kept over restarts
	Now  func() time.Time

	began time.Time            // the first look
	since map[string]time.Time // since when a told one is not active
}

// Times of a Notifier.
const (
	// Settle lets what belongs together come together, in one mail.
	Settle = 5 * time.Second
	// away is how long an alert must be gone to be told as over. At a start the
	// rules take as long until all have looked. It doubles with each time that
	// the alert came back within memory of its end.
	away     = time.Minute
	longAway = time.Hour
	memory   = 2 * time.Hour
	// daily is how often a critical one that stands is told once more, changed
	// how soon one is whose message is another.
	daily   = 24 * time.Hour
	changed = 10 * time.Minute
)

// Look compares, and returns the mail that is to be sent; nil if there is none.
// told notes what it tells: to be called when the mail is safe in the outbox.
func (n *Notifier) Look(active []alert.Alert, m config.Mail) (msg *Message, told func() error, err error) {
	now := n.Now()
	if n.began.IsZero() {
		n.began, n.since = now, map[string]time.Time{}
	}
	was, err := n.read()
	if err != nil {
		return nil, nil, err
	}
	fresh, settled := n.fresh(active, was, m, now)
	if !settled {
		fresh = nil // the next ones may be about to come
	}
	over := n.over(active, was, now)
	if len(fresh) == 0 && len(over) == 0 {
		return nil, nil, nil
	}
	mail := n.compose(fresh, over, active, was)
	return &mail, func() error {
		for _, a := range fresh {
			t := was[a.ID]
			if !t.Over.IsZero() {
				t.Returns++
			}
			was[a.ID] = mailed{Severity: a.Severity, Object: a.Object, Message: a.Message, When: now.UTC(), Returns: t.Returns}
		}
		for _, id := range over {
			t := was[id]
			t.Over = now.UTC()
			was[id] = t
			delete(n.since, id)
		}
		return n.write(was)
	}, nil
}

// fresh returns the alerts that are to be told, and whether one of them is
// there for long enough.
func (n *Notifier) fresh(active []alert.Alert, was map[string]mailed, m config.Mail, now time.Time) (fresh []alert.Alert, settled bool) {
	onlyCritical := m.WithDefaults().Severity == string(alert.Critical)
	for _, a := range active {
		if a.ID == Failed {
			continue
		}
		delete(n.since, a.ID)
		t, known := was[a.ID]
		known = known && t.Over.IsZero()
		tell := !known && (a.Severity == alert.Critical || !onlyCritical)
		if known {
			age := now.Sub(t.When)
			if age < 0 { // the clock was wrong
				age = daily + 1
			}
			tell = a.Message != t.Message && age > changed || a.Severity == alert.Critical && (age > daily || t.Severity != alert.Critical)
		}
		if tell {
			fresh = append(fresh, a)
			settled = settled || now.Sub(a.Since) >= Settle || now.Before(a.Since)
		}
	}
	return fresh, settled
}

// over returns the IDs of those that are told as over now.
func (n *Notifier) over(active []alert.Alert, was map[string]mailed, now time.Time) (over []string) {
	for id, t := range was {
		if !t.Over.IsZero() || slices.ContainsFunc(active, func(a alert.Alert) bool { return a.ID == id }) {
			continue
		}
		if _, known := n.since[id]; !known {
			n.since[id] = now
		}
		if now.Sub(n.since[id]) >= t.stays() && now.Sub(n.began) >= away {
			over = append(over, id)
		}
	}
	slices.Sort(over)
	return over
}

// compose writes the mail.
func (n *Notifier) compose(fresh []alert.Alert, over []string, active []alert.Alert, was map[string]mailed) Message {
	var b strings.Builder
	subject := fmt.Sprintf("[ESOS %s] ", n.Host)
	if len(fresh) > 0 {
		subject += fmt.Sprintf("%s: %s", fresh[0].Severity, fresh[0].ID) // the gravest: they come in that order
		if more := len(fresh) - 1; more > 0 {
			subject += fmt.Sprintf(" and %d more", more)
		}
	} else {
		subject += "over: " + strings.Join(over, ", ")
	}
	for _, a := range fresh {
		fmt.Fprintf(&b, "%s: %s (%s), since %s\n%s\n", strings.ToUpper(string(a.Severity)), a.ID, a.Object, a.Since.Format(time.RFC1123Z), a.Message)
		switch t, told := was[a.ID]; {
		case told && !t.Over.IsZero():
			t.Returns++
			fmt.Fprintf(&b, "It was over at %s, and is back. It is told as over when it was away for %v.\n", t.Over.Format(time.RFC1123Z), t.stays())
		case told:
			fmt.Fprintf(&b, "It still stands; the last mail about it was at %s.\n", t.When.Format(time.RFC1123Z))
		}
		b.WriteString("\n")
	}
	for _, id := range over {
		fmt.Fprintf(&b, "OVER: %s (%s)\nIt was: %s\n\n", id, was[id].Object, was[id].Message)
	}
	var rest []alert.Alert
	for _, a := range active {
		if !slices.ContainsFunc(fresh, func(f alert.Alert) bool { return f.ID == a.ID }) {
			rest = append(rest, a)
		}
	}
	if len(rest) > 0 {
		b.WriteString("Active as before:\n")
		for _, a := range rest {
			fmt.Fprintf(&b, "  %s: %s (%s), since %s\n", a.Severity, a.ID, a.Object, a.Since.Format(time.RFC1123Z))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "'esos alert list' on %s shows the active alerts, 'esos events' what happened.\n", n.Host)
	return Message{Subject: subject, Body: b.String()}
}
