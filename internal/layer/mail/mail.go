// Package mail is the layer of the mail that programs of the machine send: it
// goes the same way as the appliance's own alerts.
package mail

import (
	"context"
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (msmtp.Machine).
type Machine interface {
	Read() (msmtp.Files, error)
	Write(msmtp.Files) error
}

// Layer plans how programs send mail.
type Layer struct{ Machine Machine }

const object = "mail"

// mark begins the files that this layer writes: others are left alone when the
// document says nothing of mail.
const mark = "# Written by ESOS from the section mail of its document; changes are lost.\n"

// Name is mail.
func (Layer) Name() string { return "mail" }

// Declares says whether a document has anything for this layer.
func Declares(d *config.Document) bool { return d.Mail.Declared() }

// Observe reads the files.
func (l Layer) Observe(ctx context.Context, _ *config.Document, seen *layer.Observed) error {
	seen.Mail.Files, seen.Mail.Err = l.Machine.Read()
	return ctx.Err()
}

// Plan writes the files, or takes away those that were written.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	ours := strings.HasPrefix(seen.Mail.Config, mark)
	if !Declares(declared) && !ours {
		return
	}
	if seen.Mail.Err != nil {
		seen.Refuse(b, object, declared.Mail, "%v", seen.Mail.Err)
		return
	}
	want := Render(declared.Mail)
	have := seen.Mail.Files
	if want == have {
		return
	}
	step := plan.Step{
		Layer: l.Name(), Object: object, Action: plan.Change,
		Sentence: fmt.Sprintf("Have programs of the machine send mail through %s", declared.Mail.Server),
		Do:       func(context.Context, plan.Report) error { return l.Machine.Write(want) },
		Undo:     func(context.Context) error { return l.Machine.Write(have) },
	}
	if before, ok := seen.Before(object); ok {
		step.Changes = config.Fields(before, declared.Mail)
	}
	if !Declares(declared) {
		step.Action, step.Sentence = plan.Delete, "Have programs of the machine send no mail"
	}
	b.Add(step)
}

// Nowhere is the image's own msmtprc: a file that is like it is not among the
// settings that are saved.
const Nowhere = "# Mail goes nowhere until a server is named: see 'esos mail set'.\ndefaults\nsyslog LOG_MAIL\n"

// Render makes msmtp's files; without a declaration those of the image, which
// sends nothing.
func Render(m config.Mail) msmtp.Files {
	if !m.Declared() {
		return msmtp.Files{Config: Nowhere}
	}
	m = m.WithDefaults()
	var b strings.Builder
	b.WriteString(mark)
	set := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s %s\n", name, quote(value))
		}
	}
	b.WriteString("defaults\nsyslog LOG_MAIL\naliases /etc/aliases\n")
	set("tls", onOff(m.Security != config.MailPlainText))
	set("tls_starttls", onOff(m.Security == config.MailStartTLS))
	set("tls_trust_file", m.CA)
	b.WriteString("account default\n")
	set("host", m.Server)
	fmt.Fprintf(&b, "port %d\n", m.Port)
	switch {
	case m.From != "":
		set("from", m.From)
		set("allow_from_override", "off")
	default:
		set("from", "esos@%H")
	}
	if m.Auth == config.AuthNone {
		set("auth", "off")
	} else {
		set("auth", m.Auth)
		set("user", m.User)
		set("password", string(m.Password))
	}
	return msmtp.Files{Config: b.String(), Aliases: mark + "default: " + strings.Join(m.To, ", ") + "\n"}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// quote puts a value between quotes if it needs them. msmtp knows no escapes: a
// value ends at the last quote of its line.
func quote(s string) string {
	if strings.ContainsAny(s, " \t\"#") {
		return `"` + s + `"`
	}
	return s
}
