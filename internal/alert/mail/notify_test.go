package mail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/config"
)

// told is a notifier with a clock of its own, and what it told.
type teller struct {
	t      *testing.T
	n      *Notifier
	now    time.Time
	active []alert.Alert
	m      config.Mail
}

func newTeller(t *testing.T) *teller {
	d := &teller{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	d.restart(filepath.Join(t.TempDir(), "told.json"))
	return d
}

func (d *teller) restart(file string) {
	d.n = &Notifier{Host: "array1", File: file, Now: func() time.Time { return d.now }}
}

func (d *teller) raise(id string, s alert.Severity, message string) {
	for i, a := range d.active {
		if a.ID == id {
			d.active[i].Message = message
			return
		}
	}
	d.active = append(d.active, alert.Alert{ID: id, Severity: s, Object: "medium", Message: message, Since: d.now})
}

func (d *teller) clear() { d.active = nil }

// after looks every two seconds for a while, and returns the subjects told.
func (d *teller) after(wait time.Duration) string {
	d.t.Helper()
	var subjects []string
	for end := d.now.Add(wait); !d.now.After(end); d.now = d.now.Add(2 * time.Second) {
		msg, told, err := d.n.Look(d.active, d.m)
		if err != nil {
			d.t.Fatal(err)
		}
		if msg == nil {
			continue
		}
		subjects = append(subjects, strings.TrimPrefix(msg.Subject, "[ESOS array1] "))
		if err := told(); err != nil {
			d.t.Fatal(err)
		}
	}
	return strings.Join(subjects, " | ")
}

func TestNotifier(t *testing.T) {
	d := newTeller(t)
	expect := func(what string, wait time.Duration, want string) {
		t.Helper()
		if got := d.after(wait); got != want {
			t.Errorf("%s: told %q, want %q", what, got, want)
		}
	}
	expect("nothing", time.Minute, "")
	d.raise("medium.lost", alert.Critical, "gone")
	expect("before it settled", 3*time.Second, "")
	d.raise("save.failed", alert.Warning, "no medium")
	expect("two together", time.Minute, "critical: medium.lost and 1 more")
	expect("they stand", 23*time.Hour, "")
	expect("a day later", 2*time.Hour, "critical: medium.lost")
	d.raise("medium.lost", alert.Critical, "gone, and more is known")
	expect("another message", time.Hour, "critical: medium.lost")
	file := d.n.File
	d.restart(file)
	expect("a restart", time.Hour, "")
	d.restart(file)
	was := d.active
	d.clear()
	expect("the rules have not looked yet", 30*time.Second, "")
	d.active = was
	expect("now they have", time.Hour, "")
	for range 20 {
		d.clear()
		d.after(20 * time.Second)
		d.active = was
		if got := d.after(20 * time.Second); got != "" {
			t.Fatalf("it flaps, and is told: %q", got)
		}
	}
	d.clear()
	expect("over", 10*time.Minute, "over: medium.lost, save.failed")
	d.raise(Failed, alert.Warning, "mail does not get out")
	expect("mail about mail", time.Hour, "")
	d.clear()
	d.m.Severity = string(alert.Critical)
	d.raise("a", alert.Warning, "x")
	expect("only what is critical", time.Hour, "")
	d.raise("b", alert.Critical, "x")
	expect("which this is", time.Minute, "critical: b")
	if err := os.WriteFile(file, []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("a damaged memory", time.Minute, "critical: b")
}

func TestNotifierSaysAll(t *testing.T) {
	d := newTeller(t)
	d.raise("crash.dump", alert.Warning, "the kernel crashed; the dump is dump-1")
	d.after(10 * time.Second)
	d.raise("other", alert.Critical, "y")
	d.now = d.now.Add(10 * time.Second)
	msg, _, err := d.n.Look(d.active, d.m)
	if err != nil || msg == nil {
		t.Fatalf("%v, %v", msg, err)
	}
	for _, want := range []string{"CRITICAL: other (medium), since", "\ny\n", "Active as before:", "warning: crash.dump (medium)", "esos alert list"} {
		if !strings.Contains(msg.Body, want) {
			t.Errorf("no %q in\n%s", want, msg.Body)
		}
	}
}

func TestOutbox(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var sent []string
	var fail error
	box := func(dir string) *Outbox {
		return &Outbox{Dir: dir, Now: func() time.Time { return now }, Send: func(_ context.Context, m Message) error {
			if fail == nil {
				sent = append(sent, m.Subject)
			}
			return fail
		}}
	}
	dir := filepath.Join(t.TempDir(), "mail")
	o := box(dir)
	flush := func() Flushed {
		t.Helper()
		f, err := o.Flush(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	put := func(subject string) {
		t.Helper()
		if err := o.Put(Message{Subject: subject, Body: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if f := flush(); f.Sent+f.Waiting > 0 {
		t.Errorf("an empty one: %+v", f)
	}
	fail = errors.New("no route")
	put("one")
	put("two")
	if f := flush(); f.Waiting != 2 || f.Error != "no route" {
		t.Errorf("the server is away: %+v", f)
	}
	fail = nil
	if f := flush(); f.Sent != 0 {
		t.Errorf("tried again at once: %+v", f)
	}
	o = box(dir) // a restart
	now = now.Add(time.Minute)
	if f := flush(); f.Sent != 2 || f.Waiting != 0 || strings.Join(sent, " ") != "one two" {
		t.Errorf("the server is back: %+v, %q", f, sent)
	}
	fail = &PermanentError{errors.New("no such user")}
	put("three")
	put("four")
	if f := flush(); len(f.Dropped) != 2 || f.Waiting != 0 {
		t.Errorf("refused for good: %+v", f)
	}
	fail = errors.New("away")
	put("five")
	tries := 0
	for range 1000 {
		now = now.Add(longestPause)
		tries++
		if f := flush(); len(f.Dropped) > 0 {
			break
		}
	}
	if tries != maxTries {
		t.Errorf("given up after %d tries, want %d", tries, maxTries)
	}
	if f := flush(); f.Waiting != 0 {
		t.Errorf("kept for ever: %+v", f)
	}
	for i := range maxWaiting + 5 {
		put(fmt.Sprint(i))
	}
	fail, sent = nil, nil
	if err := os.WriteFile(o.path(1000), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := flush(); f.Sent != maxWaiting || sent[0] != "5" {
		t.Errorf("a full outbox: %+v, first %q", f, sent[:1])
	}
}

// TestNotifierDamps: what comes and goes all day is told a few times, then once
// more when it stays away.
func TestNotifierDamps(t *testing.T) {
	d := newTeller(t)
	var mails int
	count := func(subjects string) {
		if subjects != "" {
			mails += len(strings.Split(subjects, " | "))
		}
	}
	for range 200 { // 200 times two minutes there and two minutes away
		d.raise("path.lost", alert.Critical, "gone")
		count(d.after(2 * time.Minute))
		d.clear()
		count(d.after(2 * time.Minute))
	}
	if mails < 3 || mails > 6 {
		t.Errorf("%d mails in 13 hours of flapping", mails)
	}
	if got := d.after(2 * time.Hour); got != "over: path.lost" {
		t.Errorf("at last: %q", got)
	}
	d.after(4 * time.Hour)
	d.raise("path.lost", alert.Critical, "gone")
	if got := d.after(time.Minute); got != "critical: path.lost" {
		t.Errorf("the next day: %q", got)
	}
	d.clear()
	if got := d.after(2 * time.Minute); got != "over: path.lost" {
		t.Errorf("which was quiet, and is over: %q", got)
	}
}

// TestNotifierClock: a clock that was wrong takes nothing away for ever.
func TestNotifierClock(t *testing.T) {
	d := newTeller(t)
	right := d.now
	d.now = right.AddDate(20, 0, 0)
	d.raise("a", alert.Critical, "x")
	if got := d.after(time.Minute); got != "critical: a" {
		t.Fatalf("told %q", got)
	}
	d.now = right
	d.restart(d.n.File)
	if got := d.after(time.Minute); got != "critical: a" {
		t.Errorf("told by a clock that was 20 years ahead: %q", got)
	}
	d.active[0].Severity = alert.Warning
	d.raise("b", alert.Warning, "y")
	if got := d.after(time.Minute); got != "warning: b" {
		t.Errorf("told %q", got)
	}
	d.active[1].Severity = alert.Critical
	if got := d.after(time.Minute); got != "critical: b" {
		t.Errorf("worse than it was told: %q", got)
	}
}

// TestOutboxToSome: whoever has a mail gets it no second time, and whoever
// cannot have it does not hold up the next one.
func TestOutboxToSome(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var tried []Message
	fail := map[string]error{"one": &PartlyError{Later: []string{"b"}, Refused: []string{"c"}, Err: errors.New("450")}}
	o := &Outbox{Dir: t.TempDir(), Now: func() time.Time { return now }, Send: func(_ context.Context, m Message) error {
		tried = append(tried, m)
		return fail[m.Subject]
	}}
	for _, s := range []string{"one", "two"} {
		if err := o.Put(Message{Subject: s}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := o.Flush(t.Context())
	if err != nil || f.Sent != 1 || f.Waiting != 1 || len(f.Dropped) != 1 || !strings.Contains(f.Dropped[0], `"one" for c`) {
		t.Fatalf("%+v, %v", f, err)
	}
	if err := o.Put(Message{Subject: "three"}); err != nil {
		t.Fatal(err)
	}
	fail = nil
	o.hurry = false // as if it had come a while ago
	if f, err := o.Flush(t.Context()); err != nil || f.Sent != 1 || f.Waiting != 1 {
		t.Errorf("one that waits for a receiver holds up another: %+v, %v", f, err)
	}
	o.Hurry()
	if f, err := o.Flush(t.Context()); err != nil || f.Sent != 1 || f.Waiting != 0 {
		t.Errorf("other settings: %+v, %v", f, err)
	}
	last := tried[len(tried)-1]
	if strings.Join(last.To, " ") != "b" || last.ID != tried[0].ID || last.ID == "" || !last.When.Equal(tried[0].When) {
		t.Errorf("the second try is %+v, the first %+v", last, tried[0])
	}
}

// TestOutboxClock: a try that is due in years, by a clock that was wrong, is
// made now.
func TestOutboxClock(t *testing.T) {
	now := time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)
	fail := errors.New("away")
	o := &Outbox{Dir: t.TempDir(), Now: func() time.Time { return now }, Send: func(context.Context, Message) error { return fail }}
	if err := o.Put(Message{Subject: "s", Body: strings.Repeat("ä", maxBody)}); err != nil {
		t.Fatal(err)
	}
	if f, err := o.Flush(t.Context()); err != nil || f.Waiting != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	now, fail = now.AddDate(-20, 0, 0), nil
	if f, err := o.Flush(t.Context()); err != nil || f.Sent != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
