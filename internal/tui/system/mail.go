package system

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

type document = *config.Document

// letters are the fields of Mail Setup.
type letters struct {
	on                       bool
	to, from, server, port   string
	security, ca, auth       string
	user, password, severity string
	started                  bool
	had                      bool // a password is set
}

// mailSetup is where alerts go.
func mailSetup(d *frame.Desk, doc document) {
	m := doc.Mail.WithDefaults()
	l := &letters{on: true, to: strings.Join(m.To, ", "), from: m.From, server: m.Server, security: m.Security, ca: m.CA, auth: m.Auth,
		user: m.User, severity: m.Severity, started: !m.Quiet, had: m.Password != ""}
	if doc.Mail.Port != 0 {
		l.port = strconv.Itoa(doc.Mail.Port)
	}
	on, login := func() bool { return l.on }, func() bool { return l.on && l.auth != config.AuthNone }
	f := &frame.Form{Title: "Mail Setup", Command: "esos mail set", Submit: "Set",
		Help: "Where the appliance sends its alerts, and a mail at each start. Programs of the appliance that send mail to root use the same server. Afterwards a test mail is offered.",
		Fields: []frame.Field{
			{Label: "Send mail", Yes: &l.on, Hint: "Without a mail server nobody is told when a disk fails."},
			{Label: "To", Text: &l.to, Show: on, Check: l.checkTo, Hint: "Who gets the alerts: addresses, with commas between them."},
			{Label: "Mail server", Text: &l.server, Show: on, Check: neededHost, Hint: "Name, or IPv4 or IPv6 address, of the server that takes the mail."},
			{Label: "Encryption", One: &l.security, Show: on, Options: []frame.Option{
				{Value: config.MailStartTLS, Cells: []string{"STARTTLS", "encrypted after the greeting; no mail goes without it"}},
				{Value: config.MailTLS, Cells: []string{"TLS", "encrypted from the start"}},
				{Value: config.MailPlainText, Cells: []string{"none", "everybody on the way can read it"}}},
				Hint: "STARTTLS unless the server wants something else."},
			{Label: "Port", Text: &l.port, Show: on, Check: frame.Optional(frame.Number(1, 65535)), Hint: "Empty is the usual one: 587 with STARTTLS, 465 with TLS, 25 without."},
			{Label: "Log in with", One: &l.auth, Show: on, Check: l.checkAuth, Options: []frame.Option{
				{Value: config.AuthNone, Cells: []string{"nothing"}}, {Value: config.AuthPlain, Cells: []string{"PLAIN"}},
				{Value: config.AuthLogin, Cells: []string{"LOGIN"}}, {Value: config.AuthCRAMMD5, Cells: []string{"CRAM-MD5"}}},
				Hint: "How the appliance proves to the server that it may send."},
			{Label: "User", Text: &l.user, Show: login, Check: frame.Needed, Hint: "Name to log in to the mail server with."},
			{Label: "Password", Text: &l.password, Secret: true, Show: login, Check: l.checkPassword, Hint: l.passwordHint()},
			{Label: "From", Text: &l.from, Show: on, Check: frame.Optional(config.CheckMailAddress), Hint: "Sender. Empty is esos@ and the machine's name; some servers take only senders that they know."},
			{Label: "CA file", Text: &l.ca, Show: func() bool { return l.on && l.security != config.MailPlainText }, Check: frame.Optional(absolute),
				Hint: "PEM file with the authority that signed the server's certificate. Empty: those that the system knows."},
			{Label: "Mail at", One: &l.severity, Show: on, Options: []frame.Option{{Value: "warning", Cells: []string{"warnings and critical alerts"}},
				{Value: "critical", Cells: []string{"critical alerts only"}}}, Hint: "The least alert that is mailed."},
			{Label: "Mail at each start", Yes: &l.started, Show: on, Hint: "Who gets one that nobody expected knows that the array went down."},
		}}
	f.Do = func() {
		d.Change(frame.Change{Why: l.command(), From: f, Edit: func(doc document) error {
			l.edit(&doc.Mail)
			return nil
		}, Done: func() {
			if l.on {
				d.Choose("Send a test mail?", "It shows whether the server takes mail, and what it says.",
					frame.Answer{Text: "Send", Do: func() { sendTest(d, "") }}, frame.Answer{Text: "Not now", Do: func() {}})
			}
		}})
	}
	d.Form(f)
}

func (l *letters) edit(m *config.Mail) {
	if !l.on {
		*m = config.Mail{}
		return
	}
	m.To, m.From, m.Server, m.Security, m.Auth, m.Severity, m.Quiet = frame.Words(l.to), l.from, l.server, l.security, l.auth, l.severity, !l.started
	m.Port, _ = strconv.Atoi(l.port) // empty is 0, the usual one
	if m.CA = l.ca; l.security == config.MailPlainText {
		m.CA = ""
	}
	switch {
	case l.auth == config.AuthNone:
		m.User, m.Password = "", ""
		return
	case l.password != "":
		m.Password = config.Secret(l.password)
	}
	m.User = l.user
}

// command is what does the same; the password is in none.
func (l *letters) command() string {
	if !l.on {
		return "esos mail delete"
	}
	c := fmt.Sprintf("esos mail set --server %s --to %s --security %s", l.server, strings.Join(frame.Words(l.to), ","), l.security)
	if l.auth != config.AuthNone {
		c += fmt.Sprintf(" --auth %s --user %s --password-file -", l.auth, l.user)
	}
	return c
}

func (l *letters) checkTo(s string) error {
	if err := frame.Needed(s); err != nil {
		return err
	}
	return frame.Each(config.CheckMailAddress)(s)
}

func (l *letters) checkAuth(s string) error {
	if l.security == config.MailPlainText && (s == config.AuthPlain || s == config.AuthLogin) {
		return errors.New("without encryption this sends the password for everybody to read: choose STARTTLS or TLS, or CRAM-MD5")
	}
	return nil
}

func (l *letters) checkPassword(s string) error {
	if s == "" && !l.had {
		return errors.New("a password is needed")
	}
	return nil
}

func (l *letters) passwordHint() string {
	if l.had {
		return "Empty keeps the one that is set."
	}
	return "It is kept in the array's document, and shown nowhere."
}

func neededHost(s string) error {
	if err := frame.Needed(s); err != nil {
		return err
	}
	return config.CheckHost(s)
}

func absolute(s string) error {
	if !strings.HasPrefix(s, "/") {
		return errors.New("the whole path, from / on")
	}
	return nil
}

// testMail asks who gets a test mail.
func testMail(d *frame.Desk, doc document) {
	if !doc.Mail.Declared() {
		d.Choose("No mail server is set up", "Mail Setup names one, and who gets mail.",
			frame.Answer{Text: "Mail Setup", Do: func() { withDocument(d, mailSetup) }}, frame.Answer{Text: "Cancel", Do: func() {}})
		return
	}
	var to string
	f := &frame.Form{Title: "Send Test Email", Intro: fmt.Sprintf("By %s, to %s.", doc.Mail.Server, strings.Join(doc.Mail.To, ", ")), Command: "esos mail test", Submit: "Send",
		Help: "A mail goes to all who get alerts, or to one other, by the server that is set up.",
		Fields: []frame.Field{{Label: "Only to", Text: &to, Check: frame.Optional(config.CheckMailAddress),
			Hint: "Empty: all who get alerts."}}}
	f.Do = func() {
		sendTest(d, to)
	}
	d.Form(f)
}

// sendTest sends it; the form that asked stays, to try again.
func sendTest(d *frame.Desk, to string) {
	frame.Load(d, "Send a test mail", func(ctx context.Context) (v1.MailTested, error) { return d.Client().TestMail(ctx, to) },
		func(done v1.MailTested) {
			d.Say("The mail is sent", fmt.Sprintf("%s has taken it for %s, and said: %s", done.Server, strings.Join(done.To, ", "), done.Answer))
		})
}
