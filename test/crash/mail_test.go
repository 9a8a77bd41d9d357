package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// postbox is a mail server that keeps what it gets.
type postbox struct {
	port int

	mu    sync.Mutex
	mails []string
}

// openPostbox opens one on this host's loopback, which a machine reaches as
// 10.0.2.2.
func openPostbox(t *testing.T) *postbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postbox{port: l.Addr().(*net.TCPAddr).Port}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return letter{p}, nil }))
	s.Domain = "mail.example.com"
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Errorf("the mail server: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return p
}

// letter is a connection that brings mail.
type letter struct{ box *postbox }

func (letter) Mail(string, *smtp.MailOptions) error { return nil }
func (letter) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (letter) Reset()                               {}
func (letter) Logout() error                        { return nil }

func (l letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.box.mails = append(l.box.mails, string(text))
	return nil
}

// wait waits for a mail with a text in it. A line of a mail may be broken
// anywhere, with a = at its end (RFC 2045, 6.7).
func (p *postbox) wait(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		p.mu.Lock()
		all := strings.Join(p.mails, "\n----\n")
		p.mu.Unlock()
		if strings.Contains(strings.ReplaceAll(all, "=\r\n", ""), text) {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			t.Fatalf("no mail says %q; what came:\n%s", text, all)
		}
	}
}

// mailTo declares that alerts are mailed to a postbox.
func (m *machine) mailTo(ctx context.Context, p *postbox) {
	m.t.Helper()
	m.run(ctx, fmt.Sprintf(`set -e
esos config show --reveal >/run/document.yaml
cat >>/run/document.yaml <<'EOF'
mail:
  to: [admin@example.com]
  from: array@example.com
  server: 10.0.2.2
  port: %d
  security: none
EOF
esos apply --yes -f /run/document.yaml`, p.port))
}
