package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Who sets the clock.
const (
	byDHCP  = "dhcp"
	byNamed = "named"
	byHand  = "hand"
)

// watch are the fields of Date/Time Settings.
type watch struct {
	desk             *frame.Desk
	now              v1.ClockState
	zone, by         string
	servers          string
	date, timeOfDay  string
	declared, picked config.Clock
}

// dateTime sets the time zone, the time servers, and the clock.
func dateTime(d *frame.Desk, zones fs.FS) {
	withDocument(d, func(d *frame.Desk, doc document) {
		frame.Load(d, "Read the clock", d.Client().Clock, func(now v1.ClockState) {
			w := &watch{desk: d, now: now, declared: doc.Clock, zone: doc.Clock.Timezone, by: byDHCP, servers: strings.Join(doc.Clock.NTP, ", ")}
			if w.zone == "" {
				w.zone = now.Timezone
			}
			switch {
			case doc.Clock.NTPDisabled:
				w.by = byHand
			case len(doc.Clock.NTP) > 0:
				w.by = byNamed
			}
			w.show(zones)
		})
	})
}

func (w *watch) show(zones fs.FS) {
	hand := func() bool { return w.by == byHand }
	f := &frame.Form{Title: "Date/Time Settings", Command: "esos clock show", Submit: "Set", Intro: w.intro(),
		Help: "The time zone is that of the console, the logs and mail; what is served does not depend on it. The clock is set by hand only where no time server is asked.",
		Fields: []frame.Field{
			{Label: "Time zone", One: &w.zone, Columns: []string{"zone", "there it is now"}, Load: func(context.Context) ([]frame.Option, error) {
				return zoneOptions(zones, w.now.Time)
			}, Hint: "Typing a part of its name finds it."},
			{Label: "Clock is set by", One: &w.by, Options: []frame.Option{{Value: byDHCP, Cells: []string{"time servers of DHCP, else Debian's"}},
				{Value: byNamed, Cells: []string{"time servers named here"}}, {Value: byHand, Cells: []string{"hand"}}}, Hint: "Logs, mail and clusters need the right time: have it set by servers where there are some."},
			{Label: "Time servers", Text: &w.servers, Show: func() bool { return w.by == byNamed }, Check: func(s string) error {
				if err := frame.Needed(s); err != nil {
					return err
				}
				return frame.Each(config.CheckHost)(s)
			}, Hint: "Names, or IPv4 or IPv6 addresses, with commas between them."},
			{Label: "Date", Text: &w.date, Show: hand, Check: frame.Optional(layout("2006-01-02", "a date such as 2026-11-28")), Hint: "Year-month-day. Empty: the day is right."},
			{Label: "Time", Text: &w.timeOfDay, Show: hand, Check: func(s string) error {
				if s == "" && w.date != "" {
					return errors.New("with a date the time is needed, too")
				}
				return frame.Optional(layout("15:04:05", "a time such as 09:30:00"))(s)
			}, Hint: "Hour:minute:second in the time zone above. Empty: the clock is left as it is."},
		}}
	f.Do = func() {
		w.picked = config.Clock{Timezone: w.zone}
		switch w.by {
		case byNamed:
			w.picked.NTP = frame.Words(w.servers)
		case byHand:
			w.picked.NTPDisabled = true
		}
		set := func() {
			if w.by == byHand && w.timeOfDay != "" {
				w.set(f)
			}
		}
		if same := w.picked.NTPDisabled == w.declared.NTPDisabled && slices.Equal(w.picked.NTP, w.declared.NTP) &&
			(w.zone == w.declared.Timezone || w.declared.Timezone == "" && w.zone == w.now.Timezone); same && w.by == byHand && w.timeOfDay != "" {
			set()
			return
		}
		w.desk.Change(frame.Change{Why: w.command(), From: f, Edit: func(doc document) error {
			if doc.Clock.Timezone == "" && w.zone == w.now.Timezone {
				w.picked.Timezone = "" // it is so already, and the document need not say it
			}
			doc.Clock = w.picked.Clone()
			return nil
		}, Done: set})
	}
	w.desk.Form(f)
}

func (w *watch) intro() string {
	s := "It is " + w.now.Time.Format("2006-01-02 15:04:05 -07:00") + ", " + w.now.Timezone + "."
	switch {
	case !w.now.Sync:
		s += " No time server is asked."
	case w.now.Synchronized:
		s += " A time server has set the clock: " + w.now.Server + "."
	default:
		s += " Time servers are asked, and none has answered yet."
	}
	return s
}

// layout checks a date or a time.
func layout(l, example string) func(string) error {
	return func(s string) error {
		if _, err := time.Parse(l, s); err != nil {
			return errors.New(example)
		}
		return nil
	}
}

// set sets the clock to what was typed.
func (w *watch) set(f *frame.Form) {
	zone, err := time.LoadLocation(w.zone)
	if err != nil { // this program does not know it; the machine does
		zone = w.now.Time.Location()
	}
	date := w.date
	if date == "" {
		date = w.now.Time.In(zone).Format("2006-01-02")
	}
	t, err := time.ParseInLocation("2006-01-02 15:04:05", date+" "+w.timeOfDay, zone)
	if err != nil {
		w.desk.Fail("Set the clock", err)
		return
	}
	w.desk.Ask("Set the clock?", fmt.Sprintf("To %s, %s.", t.Format("2006-01-02 15:04:05 -07:00"), w.zone), "Set", func() {
		w.desk.Do("Set the clock", func(ctx context.Context) error { return w.desk.Client().SetClock(ctx, t) }, func() {
			w.desk.Toast(frame.Good, "Done: the clock is set.")
			w.desk.Close(f)
		})
	})
}

// command is what does the same.
func (w *watch) command() string {
	var did []string
	if w.zone != w.declared.Timezone && (w.declared.Timezone != "" || w.zone != w.now.Timezone) {
		did = append(did, "esos clock set-timezone "+w.zone)
	}
	switch ntp := "esos clock set-ntp"; {
	case w.by == byHand && !w.declared.NTPDisabled:
		did = append(did, ntp+" --off")
	case w.by == byNamed && !slices.Equal(frame.Words(w.servers), w.declared.NTP), w.by == byDHCP && (w.declared.NTPDisabled || len(w.declared.NTP) > 0):
		did = append(did, strings.TrimSpace(ntp+" "+strings.Join(w.picked.NTP, " ")))
	}
	return strings.Join(did, "; ")
}
