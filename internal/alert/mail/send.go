// Package mail tells people by mail what of the machine needs them: alerts that
// come and go, and each start of the appliance.
//
//	Send       one mail through the server that the document names
//	Outbox     mails that wait for the server, kept until it took them
//	Notifier   which alerts are mailed, and when
package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	gomail "github.com/wneessen/go-mail"

	"github.com/esos-project/esos/internal/config"
)

// Message is a mail to the appliance's administrators.
type Message struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
	// To are those who are still to get it; all whom the document names when
	// empty.
	To []string `json:"to,omitempty"`
	// ID and When are its Message-ID and Date. They stay the same however often
	// it is tried: a server whose answer got lost can tell that it has it.
	ID   string    `json:"id,omitempty"`
	When time.Time `json:"when,omitzero"`
}

// PermanentError says that the server refused a mail for good: trying again
// does not help.
type PermanentError struct{ Err error }

// Error is what the server said.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Err }

// PartlyError says that only some of the receivers get a mail. The server has
// it for the others.
type PartlyError struct {
	Refused []string // for good
	Later   []string // may be tried again
	Err     error    // what the server said
}

// Error is what the server said.
func (e *PartlyError) Error() string {
	return fmt.Sprintf("not for %s: %v", strings.Join(slices.Concat(e.Refused, e.Later), ", "), e.Err)
}

// Unwrap returns the cause.
func (e *PartlyError) Unwrap() error { return e.Err }

// sendTime is how long a server may take for all of a mail.
const sendTime = time.Minute

// FullName is a machine's full name, from its name and its domain.
func FullName(host, domain string) string {
	if domain == "" || strings.Contains(host, ".") {
		return host
	}
	return host + "." + domain
}

// Send sends one mail to all whom the document names, and returns what the
// server said when it has taken it. host is this machine's full name.
func Send(ctx context.Context, m config.Mail, host string, msg Message) (answer string, err error) {
	m = m.WithDefaults()
	if len(msg.To) > 0 {
		m.To = msg.To
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	answer, err = send(ctx, m, host, msg)
	if err != nil {
		return "", fmt.Errorf("send mail through %s: %w", net.JoinHostPort(m.Server, strconv.Itoa(m.Port)), err)
	}
	return oneLine(hide(answer, m), maxSaid), nil
}

func send(ctx context.Context, m config.Mail, host string, msg Message) (string, error) {
	var d delivery
	all, err := compose(m, host, msg, m.To, &d)
	if err != nil {
		return "", &PermanentError{err}
	}
	c, err := client(ctx, m, host, &d)
	if err != nil {
		return "", err
	}
	err = c.DialAndSendWithContext(ctx, all)
	var refused *gomail.SendError
	switch {
	case all.IsDelivered():
		return all.ServerResponse(), nil // what is wrong came after: the server has it
	case err == nil:
		return "", errors.New("it answers, and has not taken the mail")
	case len(m.To) > 1 && errors.As(err, &refused) && refused.Reason == gomail.ErrSMTPRcptTo:
		return "", sendEach(ctx, m, host, msg)
	}
	return "", explain(err, m)
}

// sendEach sends a mail to each receiver by itself: an address that is refused
// must not cost the others their mail.
func sendEach(ctx context.Context, m config.Mail, host string, msg Message) error {
	var d delivery
	var each []*gomail.Msg
	for _, to := range m.To {
		one, err := compose(m, host, msg, []string{to}, &d)
		if err != nil {
			return &PermanentError{err}
		}
		each = append(each, one)
	}
	c, err := client(ctx, m, host, &d)
	if err != nil {
		return err
	}
	err = c.DialAndSendWithContext(ctx, each...)
	partly := &PartlyError{}
	var permanent *PermanentError
	var answers several
	for i, one := range each {
		if one.IsDelivered() {
			continue
		}
		why := explain(cmp.Or(one.SendError(), err, errors.New("it answers, and has not taken the mail")), m)
		if errors.As(why, &permanent) {
			partly.Refused = append(partly.Refused, m.To[i])
		} else {
			partly.Later = append(partly.Later, m.To[i])
		}
		if !slices.ContainsFunc(answers, func(e error) bool { return e.Error() == why.Error() }) {
			answers = append(answers, why)
		}
	}
	if len(answers) == 0 {
		return nil
	}
	switch partly.Err = answers; {
	case len(partly.Refused) == len(each):
		return &PermanentError{partly.Err}
	case len(partly.Later) == len(each):
		return partly.Err
	}
	return partly
}

// compose makes the mail. Nothing of an alert's text can become a header: the
// library encodes what is no plain text, and line ends are taken out before.
func compose(m config.Mail, host string, msg Message, to []string, d *delivery) (*gomail.Msg, error) {
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithMiddleware(d))
	from := m.From
	if from == "" {
		from = "esos@" + host
	}
	if err := out.From(from); err != nil {
		return nil, fmt.Errorf("sender %q: %w", from, err)
	}
	if err := out.To(to...); err != nil {
		return nil, fmt.Errorf("receivers: %w", err)
	}
	if msg.When.IsZero() {
		msg.When = time.Now()
	}
	if msg.ID == "" {
		msg.ID = newID()
	}
	out.Subject(oneLine(msg.Subject, maxSubject))
	out.SetDateWithValue(msg.When)
	out.SetMessageIDWithValue(msg.ID + "@" + host)
	// No vacation program is to answer (RFC 3834 section 5).
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetBodyString(gomail.TypeTextPlain, msg.Body)
	return out, nil
}

// newID is the left side of a Message-ID that is used once (RFC 5322 3.6.4).
func newID() string { return uuid.NewString() }

// maxSubject is what lists of mails show, and more.
const maxSubject = 150

// oneLine makes one line of a text, of a limited length.
func oneLine(s string, longest int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return s
}
