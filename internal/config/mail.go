package config

import (
	"cmp"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
)

// Mail is how the appliance tells people that something needs them.
type Mail struct {
	To       []string `yaml:"to,omitempty" json:"to,omitempty" doc:"who gets the appliance's mail: addresses"`
	From     string   `yaml:"from,omitempty" json:"from,omitempty" doc:"sender; esos@ and the host's name when empty"`
	Server   string   `yaml:"server,omitempty" json:"server,omitempty" doc:"name or address of the mail server"`
	Port     int      `yaml:"port,omitempty" json:"port,omitempty" doc:"its port; 25, 587 with starttls, 465 with tls when 0"`
	Security string   `yaml:"security,omitempty" json:"security,omitempty" enum:"none,starttls,tls" doc:"encryption of the connection; starttls by default, and then no mail goes without it"`
	CA       string   `yaml:"ca,omitempty" json:"ca,omitempty" doc:"PEM file with the authority that signed the server's certificate; the system's when empty"`
	Auth     string   `yaml:"auth,omitempty" json:"auth,omitempty" enum:"none,plain,login,cram-md5" doc:"how the appliance logs in to the server; none by default"`
	User     string   `yaml:"user,omitempty" json:"user,omitempty" doc:"name to log in with"`
	Password Secret   `yaml:"password,omitempty" json:"password,omitempty" doc:"password to log in with"`
	Severity string   `yaml:"severity,omitempty" json:"severity,omitempty" enum:"warning,critical" doc:"the least alert that is mailed; warning by default, which is all"`
	Quiet    bool     `yaml:"quiet,omitempty" json:"quiet,omitempty" doc:"send no mail at each start of the appliance"`
}

// Values of Mail.
const (
	MailPlainText = "none"
	MailStartTLS  = "starttls"
	MailTLS       = "tls"

	AuthNone    = "none"
	AuthPlain   = "plain"
	AuthLogin   = "login"
	AuthCRAMMD5 = "cram-md5"
)

// Declared says whether the document says anything about mail.
func (m Mail) Declared() bool { return m.Server != "" || len(m.To) > 0 }

// Clone returns a deep copy.
func (m Mail) Clone() Mail {
	m.To = append([]string(nil), m.To...)
	return m
}

// WithDefaults fills what is empty.
func (m Mail) WithDefaults() Mail {
	m.Security, m.Auth, m.Severity = cmp.Or(m.Security, MailStartTLS), cmp.Or(m.Auth, AuthNone), cmp.Or(m.Severity, "warning")
	if m.Port == 0 {
		m.Port = map[string]int{MailPlainText: 25, MailStartTLS: 587, MailTLS: 465}[m.Security]
	}
	return m
}

// maxMailTo bounds who is written to: a list is the mail server's business.
const maxMailTo = 32

func (c *checker) checkMail() {
	if !c.doc.Mail.Declared() {
		if c.doc.Mail.Server == "" && (c.doc.Mail.User != "" || c.doc.Mail.From != "" || c.doc.Mail.Password != "") {
			c.error("mail.server", "is missing: name the mail server, and in mail.to who gets mail")
		}
		return
	}
	m := c.doc.Mail.WithDefaults()
	if m.Server == "" {
		c.error("mail.server", "is missing: name the mail server")
	} else if _, err := netip.ParseAddr(m.Server); err != nil && !isHostName(m.Server) {
		c.error("mail.server", "%q is neither a host name nor an IP address", clip(m.Server))
	}
	if m.Port < 1 || m.Port > 65535 {
		c.error("mail.port", "%d: want 1 to 65535", m.Port)
	}
	switch {
	case len(m.To) == 0:
		c.error("mail.to", "is missing: name who gets mail")
	case len(m.To) > maxMailTo:
		c.error("mail.to", "%d addresses, want at most %d; let the mail server have a list of its own", len(m.To), maxMailTo)
	}
	seen := map[string]int{}
	for i, to := range m.To {
		at := fmt.Sprintf("mail.to[%d]", i)
		c.mailAddress(at, to)
		c.unique(seen, at, "mail.to", strings.ToLower(to), i)
	}
	if m.From != "" {
		c.mailAddress("mail.from", m.From)
	}
	if m.CA != "" && m.CA[0] != '/' {
		c.error("mail.ca", "%q: want an absolute path", clip(m.CA))
	}
	c.checkMailLogin(m)
}

func (c *checker) checkMailLogin(m Mail) {
	for at, s := range map[string]string{"mail.user": m.User, "mail.password": string(m.Password)} {
		if strings.ContainsAny(s, "\r\n\x00") || len(s) > 255 {
			c.error(at, "want at most 255 characters, without line ends")
		}
	}
	switch {
	case m.Auth == AuthNone:
		if m.User != "" || m.Password != "" {
			c.error("mail.auth", "is missing: say how to log in with mail.user (plain, login or cram-md5), or remove it")
		}
		return
	case m.User == "" || m.Password == "":
		c.error("mail.user", "and mail.password are both wanted for auth: %s", m.Auth)
	}
	if m.Security == MailPlainText && m.Auth != AuthCRAMMD5 {
		c.error("mail.security", "none would send the password for everybody to read: use starttls or tls, or auth: cram-md5")
	}
}

// mailAddress wants a plain address.
func (c *checker) mailAddress(at, s string) {
	if err := CheckMailAddress(s); err != nil {
		c.error(at, "%v", err)
	}
}

// CheckMailAddress says whether s is a plain address: user@host.
func CheckMailAddress(s string) error {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || strings.ContainsAny(s, "\r\n<>\" ") {
		return fmt.Errorf("%q is no mail address; they are like storage@example.com", clip(s))
	}
	return nil
}
