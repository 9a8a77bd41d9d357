package mail

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
)

// converse is a server that greets, and answers each line as answer says until
// that returns "".
func converse(t *testing.T, greeting string, answer func(line string) string) config.Mail {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				_, _ = io.WriteString(c, greeting) // it may be gone
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					said := answer(lines.Text())
					if said == "" {
						return
					}
					if said == quiet {
						continue
					}
					if _, err := io.WriteString(c, said); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return config.Mail{To: []string{"a@example.com"}, Server: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: config.MailPlainText}
}

// polite answers as a server does that takes everything.
func polite(line string) string {
	switch word, _, _ := strings.Cut(line, " "); strings.ToUpper(word) {
	case "EHLO":
		return "250-test\r\n250 8BITMIME\r\n"
	case "MAIL", "RCPT", "RSET", "NOOP":
		return "250 2.0.0 fine\r\n"
	case "DATA":
		return "354 go on\r\n"
	case ".":
		return "250 2.0.0 queued as 4F2\r\n"
	case "QUIT":
		return "221 bye\r\n"
	}
	return "500 what?\r\n"
}

// quiet is an answer without a byte.
const quiet = "(nothing)"

// inDataQuiet makes a server that keeps quiet while a mail comes, counts the
// mails, and says what is not polite where other says something.
func inDataQuiet(other func(line string) string, mails *int) func(string) string {
	data := false
	return func(line string) string {
		if data && line != "." {
			return quiet
		}
		if line == "." {
			data = false
			*mails++
		}
		said := other(line)
		if said == "" && line != "." {
			said = polite(line)
		}
		data = strings.HasPrefix(said, "354")
		return said
	}
}

// instead makes a polite server that says something else to one line.
func instead(to, say string) func(string) string {
	return func(line string) string {
		if line == to {
			return say
		}
		return polite(line)
	}
}

func TestSendOnceItIsTaken(t *testing.T) {
	for name, other := range map[string]func(line string) string{
		"all is well":               polite,
		"it cannot reset":           instead("RSET", "421 too late\r\n"),
		"it cannot say good-bye":    instead("QUIT", "500 what?\r\n"),
		"it says strange things":    instead("RSET", "\x00\xff\r\n"),
		"its answer has two lines.": instead(".", "250-2.0.0 yes\r\n250 queued as 4F2\r\n"),
	} {
		mails := 0
		m := converse(t, "220 test\r\n", inDataQuiet(other, &mails))
		answer, err := Send(t.Context(), m, "h", Message{Subject: "s", Body: "b"})
		if err != nil || !strings.Contains(answer, "queued as 4F2") || mails != 1 {
			t.Errorf("%s: answer %q, error %v, %d mails", name, answer, err, mails)
		}
	}
}

func TestSendToHostileServers(t *testing.T) {
	endless := strings.Repeat("x", 64<<10)
	for name, tt := range map[string]struct {
		greeting string
		answer   func(line string) string
		want     string // in the error
	}{
		"a line without an end": {"220 " + strings.Repeat(endless, 40), polite, "no mail server"},
		"lines without an end": {"220 test\r\n", func(line string) string {
			if strings.HasPrefix(line, "EHLO") {
				return strings.Repeat("250-"+strings.Repeat("y", 500)+"\r\n", 4096)
			}
			return polite(line)
		}, "no mail server"},
		"escape sequences": {"220 test\r\n", func(line string) string {
			if strings.HasPrefix(line, "MAIL") {
				return "451 \x1b[2J\x1b]0;owned\x07 go away\r\n"
			}
			return polite(line)
		}, "go away"},
		"a long answer": {"220 test\r\n", func(line string) string {
			if strings.HasPrefix(line, "MAIL") {
				return "451 " + strings.Repeat("z", 5000) + "\r\n"
			}
			return polite(line)
		}, "zzz..."},
		"no SMTP":             {"+OK POP3 ready\r\n", polite, ""},
		"it hangs up in DATA": {"220 test\r\n", instead(".", ""), ""},
	} {
		mails, began := 0, time.Now()
		m := converse(t, tt.greeting, inDataQuiet(tt.answer, &mails))
		_, err := Send(t.Context(), m, "h", Message{Subject: "s", Body: "b"})
		var permanent *PermanentError
		if err == nil || errors.As(err, &permanent) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
			continue
		}
		if strings.ContainsAny(err.Error(), "\x1b\x07\x00\r\n") || len(err.Error()) > 1000 {
			t.Errorf("%s: the server's words reach the terminal: %q", name, err.Error())
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v: %v", name, took, err)
		}
	}
}

// TestSendHidesThePassword: also where the server says it.
func TestSendHidesThePassword(t *testing.T) {
	m := config.Mail{To: []string{"a@example.com"}, User: "esos", Password: "tell-nobody", Auth: config.AuthPlain, Server: "h"}
	for _, s := range []string{"tell-nobody", base64.StdEncoding.EncodeToString([]byte("tell-nobody")), base64.StdEncoding.EncodeToString([]byte("\x00esos\x00tell-nobody"))} {
		if got := explain(errors.New("you said "+s), m).Error(); strings.Contains(got, s) || !strings.Contains(got, config.Hidden) {
			t.Errorf("the error tells it: %s", got)
		}
	}
}

// TestSendToSome: an address that is refused does not cost the others their
// mail, and nobody gets it twice.
func TestSendToSome(t *testing.T) {
	c := &catcher{later: "later@"}
	m := serve(t, c, config.MailTLS)
	m.To = []string{"a@example.com", "nobody@example.com", "later@example.com", "b@example.com"}
	msg := Message{Subject: "s", ID: "x", When: time.Now()}
	_, err := Send(t.Context(), m, "h", msg)
	var partly *PartlyError
	if !errors.As(err, &partly) || !slices.Equal(partly.Refused, []string{"nobody@example.com"}) || !slices.Equal(partly.Later, []string{"later@example.com"}) {
		t.Fatalf("%v", err)
	}
	if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "no such user") || !strings.Contains(err.Error(), "greylisted") {
		t.Errorf("it says %q", err)
	}
	if got := c.got(); strings.Join(got, " ") != "a@example.com b@example.com" {
		t.Errorf("delivered to %q", got)
	}
	var permanent *PermanentError
	msg.To = []string{"nobody@example.com", "nobody@example.org"}
	if _, err := Send(t.Context(), m, "h", msg); !errors.As(err, &permanent) {
		t.Errorf("all refused: %v", err)
	}
	msg.To = []string{"later@example.com", "later@example.org"}
	if _, err := Send(t.Context(), m, "h", msg); err == nil || errors.As(err, &permanent) || errors.As(err, &partly) {
		t.Errorf("all later: %v", err)
	}
	if n := len(c.mails); n != 2 {
		t.Errorf("%d mails", n)
	}
	for _, text := range c.mails {
		if !strings.Contains(text, "Message-ID: <x@h>") {
			t.Errorf("another Message-ID:\n%s", text)
		}
	}
}

func TestSendHints(t *testing.T) {
	tests := map[string]struct {
		c      *catcher
		serve  string
		change func(m *config.Mail)
		want   string
	}{
		"nobody there":      {nil, config.MailTLS, func(m *config.Mail) { m.Port = freePort(t) }, "nobody takes connections"},
		"unknown authority": {nil, config.MailTLS, func(m *config.Mail) { m.CA = "" }, `was signed by "CN=test"`},
		"no such file":      {nil, config.MailTLS, func(m *config.Mail) { m.CA = "/nowhere/ca.pem" }, "mail.ca"},
		"other name":        {nil, config.MailTLS, func(m *config.Mail) { m.Server = "localhost" }, "its certificate is for other names"},
		"TLS to STARTTLS":   {nil, config.MailStartTLS, func(m *config.Mail) { m.Security = config.MailTLS }, "does not speak TLS"},
		"no STARTTLS":       {nil, config.MailPlainText, func(m *config.Mail) { m.Security = config.MailStartTLS }, "no encryption by STARTTLS"},
		"wrong password": {nil, config.MailTLS, func(m *config.Mail) {
			m.Auth, m.User, m.Password = config.AuthPlain, "esos", "no"
		}, "refuses the login"},
		"login wanted": {&catcher{needAuth: true}, config.MailTLS, func(*config.Mail) {}, "wants a login"},
		"no CRAM-MD5": {nil, config.MailTLS, func(m *config.Mail) {
			m.Auth, m.User, m.Password = config.AuthCRAMMD5, "esos", "right"
		}, "does not know auth: cram-md5"},
	}
	for name, tt := range tests {
		c := tt.c
		if c == nil {
			c = &catcher{}
		}
		m := serve(t, c, tt.serve)
		tt.change(&m)
		_, err := Send(t.Context(), m, "h", Message{})
		var permanent *PermanentError
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &permanent) {
			t.Errorf("%s: %v, want %q and to be tried again", name, err, tt.want)
		}
		if len(c.mails) > 0 {
			t.Errorf("%s: it was sent", name)
		}
	}
}

// TestSendSlow: the end of a context ends whatever is waited for.
func TestSendSlow(t *testing.T) {
	m := converse(t, "", func(string) string { return quiet })
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Send(ctx, m, "h", Message{}); err == nil || !strings.Contains(err.Error(), "in time") && !strings.Contains(err.Error(), "closed") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestFullName(t *testing.T) {
	for _, tt := range [][3]string{{"a", "", "a"}, {"a", "b.c", "a.b.c"}, {"a.x", "b.c", "a.x"}} {
		if got := FullName(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q of %q: %q", tt[0], tt[1], got)
		}
	}
}
