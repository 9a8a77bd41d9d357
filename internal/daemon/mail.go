package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/alert/mail"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
)

// mailing mails alerts, and each start of an appliance, as long as the document
// names a server.
type mailing struct {
	o        Options
	app      *appliance.Appliance
	board    *alert.Board
	host     string
	outbox   *mail.Outbox
	notifier *mail.Notifier
	began    time.Time
	last     config.Mail // the settings of the last look
}

// Times of mailing.
const (
	mailEvery = 2 * time.Second
	// startSettle is how long the mail of a start waits for the alerts of that
	// start.
	startSettle = 20 * time.Second
	// mailPatience is how long a server may be away before that is an alert.
	mailPatience = 10 * time.Minute
)

// keepMailing mails until ctx ends.
func keepMailing(ctx context.Context, o Options, app *appliance.Appliance, board *alert.Board) error {
	host, err := os.Hostname()
	if err != nil {
		host = "esos"
	}
	m := &mailing{o: o, app: app, board: board, host: host, began: time.Now(),
		notifier: &mail.Notifier{Host: host, File: filepath.Join(o.DataDir, "mail", "told.json"), Now: time.Now}}
	m.outbox = &mail.Outbox{Dir: filepath.Join(o.DataDir, "mail"), Now: time.Now, Send: m.send}
	tick := time.NewTicker(mailEvery)
	defer tick.Stop()
	said := ""
	for {
		text := ""
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		if text != said && text != "" {
			o.Log.Warn("mail", "err", text)
		}
		said = text
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// send sends as the document says now.
func (m *mailing) send(ctx context.Context, msg mail.Message) error {
	doc, _, err := m.app.Document(ctx)
	if err != nil {
		return err
	}
	_, err = mail.Send(ctx, doc.Mail, mail.FullName(m.host, doc.Network.Domain), msg)
	return err
}

// look writes what there is to tell, and sends what is due.
func (m *mailing) look(ctx context.Context) error {
	doc, rev, err := m.app.Document(ctx)
	if err != nil {
		return err
	}
	if name, err := os.Hostname(); err == nil {
		m.host, m.notifier.Host = name, name
	}
	err = m.start(doc, rev.Number)
	if !doc.Mail.Declared() {
		m.board.Clear(mail.Failed, "mail.off", "no mail server is declared any more")
		return err
	}
	err = errors.Join(err, m.alerts(doc.Mail))
	if !reflect.DeepEqual(doc.Mail, m.last) {
		m.outbox.Hurry() // it may have been the settings' fault
		m.last = doc.Mail.Clone()
	}
	f, flushErr := m.outbox.Flush(ctx)
	m.judge(f)
	return errors.Join(err, flushErr)
}

func (m *mailing) alerts(settings config.Mail) error {
	msg, told, err := m.notifier.Look(m.board.Active(), settings)
	if err != nil || msg == nil {
		return err
	}
	if err := m.outbox.Put(*msg); err != nil {
		return err
	}
	return told()
}

// judge raises an alert when mail does not get out: nobody would miss it.
func (m *mailing) judge(f mail.Flushed) {
	raise := func(format string, a ...any) {
		m.board.Raise(alert.Alert{ID: mail.Failed, Severity: alert.Warning, Object: "mail",
			Message: fmt.Sprintf(format, a...) + "; 'esos mail test' tries it at once"})
	}
	switch {
	case len(f.Dropped) > 0:
		raise("mail is lost: %s", strings.Join(f.Dropped, "; "))
	case f.Waiting > 0 && f.Error != "" && time.Since(f.Since) > mailPatience:
		raise("mail does not get out, %d wait: %s", f.Waiting, f.Error)
	case f.Sent > 0:
		m.board.Clear(mail.Failed, "mail.sent", "the mail server takes mail again")
	}
}
