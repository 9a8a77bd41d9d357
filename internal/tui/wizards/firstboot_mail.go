package wizards

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

func (w *newArray) mailForm() *frame.Form {
	shown := func() bool { return w.setMail }
	login := func() bool { return w.setMail && w.mail.Auth != config.AuthNone }
	return &frame.Form{Title: "mail", Command: "esos mail set --server SERVER --to ADDRESS",
		Intro: "The array mails when something needs you: a disk that fails, an array that lacks one, a crash. A test mail is sent at the end.",
		Help:  "Without encryption nobody can be sure who reads the mails; the array refuses to send a password that way.",
		Fields: []frame.Field{
			{Label: "Set up mail", Yes: &w.setMail, Hint: "Space leaves this step out: mail stays as it is."},
			{Label: "Mail to", Text: &w.to, Show: shown, Check: recipients, Hint: "Who is told: addresses, with blanks between them."},
			{Label: "Mail server", Text: &w.mail.Server, Show: shown, Check: mailServer, Hint: "Its name or address, IPv4 or IPv6."},
			{Label: "Encryption", One: &w.mail.Security, Show: shown, Options: []frame.Option{
				{Value: config.MailStartTLS, Cells: []string{"STARTTLS, usually port 587"}}, {Value: config.MailTLS, Cells: []string{"TLS, usually port 465"}},
				{Value: config.MailPlainText, Cells: []string{"none, usually port 25"}}}, Hint: "With STARTTLS or TLS no mail goes without encryption."},
			{Label: "Port", Text: &w.port, Show: shown, Check: frame.Optional(frame.Number(1, 65535)), Hint: "Empty: the usual one."},
			{Label: "Sender", Text: &w.mail.From, Show: shown, Check: frame.Optional(config.CheckMailAddress), Hint: "Empty: esos@ and the host's name. Some servers take mail from known senders only."},
			{Label: "Log in", One: &w.mail.Auth, Show: shown, Options: frame.Options(config.AuthNone, config.AuthPlain, config.AuthLogin, config.AuthCRAMMD5), Hint: "How the array proves who it is; none if the server does not ask."},
			{Label: "User", Text: &w.mail.User, Show: login, Check: frame.Needed, Hint: "Name to log in with."},
			{Label: "Password", Text: &w.mailPassword, Secret: true, Show: login, Check: w.mailPasswordNeeded, Hint: "Empty: the one that is set stays."},
		}}
}

func (w *newArray) mailPasswordNeeded(s string) error {
	if w.doc.Mail.Password != "" {
		return nil
	}
	return frame.Needed(s)
}

func recipients(s string) error {
	if len(frame.Words(s)) == 0 {
		return frame.Needed("")
	}
	return frame.Each(config.CheckMailAddress)(s)
}

func mailServer(s string) error {
	if s == "" {
		return frame.Needed(s)
	}
	return wrong(&config.Document{Mail: config.Mail{Server: s, To: []string{"a@example.com"}}}, "mail.server")
}

// mailSettings are what was asked for. What is as usual is left out.
func (w *newArray) mailSettings() config.Mail {
	m := w.mail
	m.To = frame.Words(w.to)
	m.Port, _ = strconv.Atoi(w.port)
	if m.Auth == config.AuthNone {
		m.Auth, m.User, m.Password = "", "", ""
	} else if w.mailPassword != "" {
		m.Password = config.Secret(w.mailPassword)
	}
	if m.Security == config.MailStartTLS {
		m.Security = ""
	}
	if m.Severity == "warning" {
		m.Severity = ""
	}
	return m
}

// done says what was set up, and tries the mail.
func (w *newArray) done() {
	p := &frame.Page{Title: "First boot: done", Command: "esos status", Text: w.summary(), Help: "What was set up. All of it can be changed in the menu System."}
	w.desk.Page(p)
	if !w.setMail {
		return
	}
	p.Keys = []frame.PageKey{{Key: 't', Does: "test mail", Do: func() { w.tryMail(p) }}}
	if w.setNetwork && w.net.port != "" {
		return // first it must be known whether that stays
	}
	w.tryMail(p)
}

func (w *newArray) summary() string {
	var b strings.Builder
	line := func(set bool, what, left string) {
		if !set {
			what = left
		}
		fmt.Fprintf(&b, "  %s\n", what)
	}
	b.WriteString("The array is set up:\n\n")
	line(w.setPassword, "Password   admin has a new one, here, over SSH and in the API", "Password   left as it is")
	line(w.setNetwork, "Network    "+w.net.text(), "Network    left as it is")
	line(w.setTime, "Time       "+w.zone, "Time       left as it is")
	line(w.setMail, "Mail       to "+strings.Join(frame.Words(w.to), ", ")+" by "+w.mail.Server, "Mail       left as it is")
	if w.setMail {
		if w.tested != "" {
			b.WriteString("\n" + w.tested + "\n")
		}
		b.WriteString("\nPress t to send a test mail" + map[bool]string{true: " again"}[w.tested != ""] + ".\n")
	}
	b.WriteString("\nNext: Make Me a LUN leads from disks to an initiator.\n")
	return b.String() + shell(w.commands())
}

// tryMail sends a test mail and says what became of it.
func (w *newArray) tryMail(p *frame.Page) {
	frame.LoadElse(w.desk, "Send a test mail", func(ctx context.Context) (v1.MailTested, error) { return w.desk.Client().TestMail(ctx, "") },
		func(m v1.MailTested) {
			w.tested = fmt.Sprintf("%s has taken a test mail for %s: %s. See that it arrives.", m.Server, strings.Join(m.To, ", "), m.Answer)
			p.Text = w.summary()
		},
		func(err error) {
			w.tested = fmt.Sprintf("The test mail was not sent: %v", err)
			p.Text = w.summary()
			w.desk.Warn("The test mail was not sent", err.Error()+"\n\nAll else is set up. Mend the mail settings in System, Mail, and press t here to try again.")
		})
}
