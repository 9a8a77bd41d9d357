package mail

import (
	"context"
	"net"
	"net/smtp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestCatcher: what is sent can be waited for, decoded.
func TestCatcher(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := c.Wait(ctx, Says("x")); err == nil || !strings.Contains(err.Error(), "what came: []") {
		t.Errorf("a mail that nobody sent: %v", err)
	}
	send := func(subject, body string) {
		text := "Subject: " + subject + "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body
		if err := smtp.SendMail(net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port())), nil, "a@example.com", []string{"b@example.com", "c@example.com"}, []byte(text)); err != nil {
			t.Error(err)
		}
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		time.Sleep(100 * time.Millisecond)
		send("first", "nothing")
		send("=?utf-8?q?gr=C3=B6=C3=9Fer?=", "a line that is br=\r\noken, and =C3=A4\r\n")
	})
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := c.Wait(ctx, Says("größer", "broken, and ä"))
	if err != nil || strings.Join(m.To, " ") != "b@example.com c@example.com" || m.From != "a@example.com" {
		t.Errorf("%+v, %v", m, err)
	}
	if n := len(c.Mails()); n != 2 {
		t.Errorf("%d mails", n)
	}
}
