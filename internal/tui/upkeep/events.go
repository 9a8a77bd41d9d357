package upkeep

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/tui/frame"
)

// mostEvents bounds what is kept to be scrolled through.
const mostEvents = 5000

// events shows what happened, and what happens from now on.
func events(d *frame.Desk) {
	ctx, cancel := context.WithCancel(d.Context())
	e := &eventPage{desk: d, page: &frame.Page{Title: "Events", Command: "esos events -f", End: true, Gone: cancel, Text: "Nothing happened yet.",
		Help: "What happened, the newest last, and what happens while this is shown: sessions, refused logins, changes and who made them, failures. Scrolling up stops the page; End follows again."}}
	e.page.Keys = []frame.PageKey{{Key: 'f', Does: "find", Do: e.find}}
	d.Page(e.page)
	go e.follow(ctx)
}

// eventPage is a page of events that grows.
type eventPage struct {
	desk   *frame.Desk
	page   *frame.Page
	lines  []string // for the desk's goroutine
	only   string   // what lines must have
	mu     sync.Mutex
	fresh  []string // not in lines yet
	coming bool     // somebody will fetch them
}

// follow reads events until the page goes, over restarts of the daemon, too.
func (e *eventPage) follow(ctx context.Context) {
	var last int64
	for ctx.Err() == nil {
		_ = e.desk.Client().Events(ctx, last, true, func(ev v1.Event) error {
			last = ev.ID
			e.add(eventLine(ev))
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		// The stream broke. The desk shows it if the daemon is gone.
		e.desk.Update(func() { frame.Refresh(e.desk, e.desk.Client().Status, func(v1.Status, error) {}) })
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// add hands a line to the desk's goroutine, together with those that come until
// it has time for them.
func (e *eventPage) add(line string) {
	e.mu.Lock()
	e.fresh = append(e.fresh, line)
	first := !e.coming
	e.coming = true
	e.mu.Unlock()
	if first {
		e.desk.Update(e.take)
	}
}

func (e *eventPage) take() {
	e.mu.Lock()
	e.lines = append(e.lines, e.fresh...)
	e.fresh, e.coming = nil, false
	e.mu.Unlock()
	if over := len(e.lines) - mostEvents; over > 0 {
		e.lines = append([]string{}, e.lines[over:]...)
	}
	e.fill()
}

func (e *eventPage) fill() {
	e.page.Text = strings.Join(having(e.lines, e.only), "\n")
	if e.page.Text == "" {
		e.page.Text = "Nothing like that happened."
	}
}

// having are the lines that have a text, in any case.
func having(lines []string, text string) []string {
	if text == "" {
		return lines
	}
	text = strings.ToLower(text)
	var found []string
	for _, l := range lines {
		if strings.Contains(strings.ToLower(l), text) {
			found = append(found, l)
		}
	}
	return found
}

// find shows only events that have a text.
func (e *eventPage) find() {
	findIn(e.desk, e.only, func(text string) {
		e.only = text
		e.page.Title, e.page.End = "Events", true
		if text != "" {
			e.page.Title = "Events with " + text
		}
		e.fill()
	})
}

// findIn asks for a text that lines must have.
func findIn(d *frame.Desk, text string, do func(string)) {
	f := &frame.Form{Title: "Find", Submit: "Find", Intro: "Only lines that have this text are shown.",
		Fields: []frame.Field{{Label: "Text", Text: &text, Hint: "In any case; nothing shows all lines again."}}}
	f.Do = func() {
		d.Close(f)
		do(strings.TrimSpace(text))
	}
	d.Form(f)
}

func eventLine(e v1.Event) string {
	object := ""
	if e.Object != "" {
		object = " " + e.Object
	}
	return fmt.Sprintf("%s  %s%s: %s", when(e.Time), e.Kind, object, strings.ReplaceAll(e.Message, "\n", "; "))
}
