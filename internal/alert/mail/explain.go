package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	gomail "github.com/wneessen/go-mail"

	"github.com/esos-project/esos/internal/config"
)

// maxSaid is how much of a server's words goes into alerts and onto terminals.
const maxSaid = 400

// said is an error in words of ours. What a server says may be anything.
type said struct {
	text string
	err  error
}

func (s *said) Error() string { return s.text }
func (s *said) Unwrap() error { return s.err }

// several are errors on one line.
type several []error

func (s several) Error() string {
	var all []string
	for _, e := range s {
		all = append(all, e.Error())
	}
	return strings.Join(all, "; ")
}

func (s several) Unwrap() []error { return s }

// explain says what an error of a server means and what to do, and which ones
// are for good.
func explain(err error, m config.Mail) error {
	text := oneLine(hide(err.Error(), m), maxSaid)
	if hint := hint(err, m); hint != "" {
		text = hint + " (" + text + ")"
	}
	clean := &said{text, err}
	if forGood(err) {
		return &PermanentError{clean}
	}
	return clean
}

// hide takes the password out: a server may say what it was told.
func hide(text string, m config.Mail) string {
	if m.Password == "" {
		return text
	}
	p := string(m.Password)
	for _, s := range []string{p, base64.StdEncoding.EncodeToString([]byte(p)), base64.StdEncoding.EncodeToString([]byte("\x00" + m.User + "\x00" + p))} {
		text = strings.ReplaceAll(text, s, config.Hidden)
	}
	return text
}

// forGood says whether the server refused the mail itself (RFC 5321 4.2.1).
// What it refuses because of our settings is kept until they are mended.
func forGood(err error) bool {
	var refused *gomail.SendError
	if !errors.As(err, &refused) {
		return false
	}
	if refused.Reason != gomail.ErrSMTPRcptTo && refused.Reason != gomail.ErrSMTPData && refused.Reason != gomail.ErrSMTPDataClose {
		return false // about the sender, logging in and encryption (RFC 4954 6, RFC 3207 4)
	}
	code := refused.ErrorCode()
	return code >= 500 && code < 600
}

// hint is what an administrator can do; "" if the error says it all.
func hint(err error, m config.Mail) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var lookup *net.DNSError
	var refused *gomail.SendError
	switch text := err.Error(); {
	case errors.As(err, &unknown):
		whose := ""
		if c := unknown.Cert; c != nil {
			whose = fmt.Sprintf(" for %q was signed by %q,", oneLine(c.Subject.String(), 80), oneLine(c.Issuer.String(), 80))
		}
		return "its certificate" + whose + " whom this system does not trust: name the authority's PEM file in mail.ca"
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is for other names than %q: say one of them in mail.server", m.Server)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate is not valid at this time: look at the server's certificate, and at this machine's clock ('esos clock show')"
	case errors.As(err, &record):
		return fmt.Sprintf("it does not speak TLS on port %d from the start: try security: starttls, or another port", m.Port)
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %q leads nowhere: look at mail.server, and at the name servers of this machine", m.Server)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nobody takes connections there: is port %d right, and does the server run?", m.Port)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to it: look at this machine's network"
	case errors.Is(err, errTalkative):
		return ""
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "it does not answer in time; a firewall, or the wrong port or security, may be why"
	case strings.Contains(text, "does not support STARTTLS"):
		return "it offers no encryption by STARTTLS, and nothing is sent without: is it security: tls on another port?"
	case strings.Contains(text, "SMTP AUTH failed"):
		return "it refuses the login: look at mail.user, mail.password and mail.auth"
	case strings.Contains(text, "does not support SMTP AUTH"), strings.Contains(text, "does not support"):
		return fmt.Sprintf("it does not know auth: %s on this connection", m.Auth)
	case errors.As(err, &refused) && refused.Reason == gomail.ErrSMTPMailFrom && m.Auth == config.AuthNone && refused.ErrorCode() >= 500:
		return "it does not take mail from this machine: it wants a login (mail.auth), encryption (mail.security) or another sender (mail.from)"
	case errors.As(err, &refused) && refused.Reason == gomail.ErrSMTPMailFrom && refused.ErrorCode() >= 500:
		return "it does not take mail from this sender: look at mail.from"
	}
	return ""
}
