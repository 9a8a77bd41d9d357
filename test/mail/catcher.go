// Package mail holds the appliance to what it promises of its mail: that alerts,
// starts and what its programs send arrive at a mail server, which is here.
package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Mail is a mail that arrived.
type Mail struct {
	From    string   // of the envelope
	To      []string // of the envelope
	Header  mail.Header
	Subject string // decoded
	Body    string // decoded
	When    time.Time
}

// Catcher is a mail server on this host's loopback that keeps what it gets. A
// virtual machine reaches it as 10.0.2.2 (QEMU's user network).
type Catcher struct {
	port     int
	listener net.Listener
	server   *smtp.Server
	served   chan error

	mu      sync.Mutex
	mails   []Mail
	arrived chan struct{} // closed and made anew with each mail
}

// GuestAddress is this host as a virtual machine sees it.
const GuestAddress = "10.0.2.2"

// maxMail is far more than anybody sends here.
const maxMail = 1 << 20

// Start opens a catcher. Close it.
func Start() (*Catcher, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("catch mail: %w", err)
	}
	c := &Catcher{port: l.Addr().(*net.TCPAddr).Port, listener: l, served: make(chan error, 1), arrived: make(chan struct{})}
	c.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &letter{c: c}, nil }))
	c.server.Domain, c.server.MaxMessageBytes = "mail.example.com", maxMail
	go func() { c.served <- c.server.Serve(l) }()
	return c, nil
}

// Catch is Start for a test, whose end ends it.
func Catch(t *testing.T) *Catcher {
	t.Helper()
	c, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Setting is the command that has an appliance mail its alerts here.
func (c *Catcher) Setting(to string) string {
	return fmt.Sprintf("esos mail set --to %s --from array@example.com --server %s --port %d --security none", to, GuestAddress, c.port)
}

// Port is where it listens.
func (c *Catcher) Port() int { return c.port }

// Close ends it.
func (c *Catcher) Close() error {
	// The server does not know of a listener that it has not begun to serve yet.
	err := c.server.Close()
	if closing := c.listener.Close(); !errors.Is(closing, net.ErrClosed) {
		err = errors.Join(err, closing)
	}
	if served := <-c.served; !errors.Is(served, smtp.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Mails returns what arrived so far.
func (c *Catcher) Mails() []Mail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Mail(nil), c.mails...)
}

// Wait returns the first mail that matches, as soon as it has arrived.
func (c *Catcher) Wait(ctx context.Context, match func(Mail) bool) (Mail, error) {
	for {
		c.mu.Lock()
		arrived := c.arrived
		for _, m := range c.mails {
			if match(m) {
				c.mu.Unlock()
				return m, nil
			}
		}
		c.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			var subjects []string
			for _, m := range c.Mails() {
				subjects = append(subjects, m.Subject)
			}
			return Mail{}, fmt.Errorf("wait for a mail: %w; what came: %q", ctx.Err(), subjects)
		}
	}
}

// Says matches mails that have all of the texts in their subject or body.
func Says(texts ...string) func(Mail) bool {
	return func(m Mail) bool {
		for _, t := range texts {
			if !strings.Contains(m.Subject, t) && !strings.Contains(m.Body, t) {
				return false
			}
		}
		return true
	}
}

// letter is a connection that brings mail.
type letter struct {
	c *Catcher
	m Mail
}

func (l *letter) Mail(from string, _ *smtp.MailOptions) error {
	l.m = Mail{From: from}
	return nil
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.m.To = append(l.m.To, to)
	return nil
}

func (l *letter) Reset()        { l.m = Mail{} }
func (l *letter) Logout() error { return nil }

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := l.m
	if err := m.read(text); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.mails = append(l.c.mails, m)
	close(l.c.arrived)
	l.c.arrived = make(chan struct{})
	return nil
}

// read reads a message of RFC 5322, its subject and body decoded (RFC 2047,
// RFC 2045 section 6.7).
func (m *Mail) read(text []byte) error {
	read, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("read a mail: %w", err)
	}
	m.Header, m.When = read.Header, time.Now()
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject")); err != nil {
		return fmt.Errorf("read a mail's subject: %w", err)
	}
	body := read.Body
	if strings.EqualFold(read.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	decoded, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read a mail's body: %w", err)
	}
	m.Body = strings.ReplaceAll(string(decoded), "\r\n", "\n")
	return nil
}
