package mail

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/esos-project/esos/internal/config"
)

// FuzzAnswers has a server say anything at all: there is an error or a mail that
// was taken, and no byte of it that a terminal would act on.
func FuzzAnswers(f *testing.F) {
	f.Add("220 test\r\n250-test\r\n250 AUTH PLAIN\r\n235 in\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n250 ok\r\n221 bye\r\n")
	f.Add("220 test\r\n250 test\r\n550 no\r\n")
	f.Add("220-\r\n220-\x1b[2J\r\n")
	f.Add("220 \xff\xfe\u2028\r\n421 \x00\r\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	says, done := make(chan string), make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(c, <-says) // it may be gone
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.CloseWrite()
			}
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	f.Cleanup(func() { _ = l.Close(); <-done })
	m := config.Mail{To: []string{"a@example.com"}, Server: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: config.MailPlainText}
	f.Fuzz(func(t *testing.T, text string) {
		go func() { says <- text }()
		answer, err := Send(t.Context(), m, "h", Message{Subject: "s", Body: "b"})
		if err != nil {
			answer = err.Error()
		}
		if strings.ContainsFunc(answer, func(r rune) bool { return r < ' ' || r == 0x7f }) || !utf8.ValidString(answer) || len(answer) > 4*maxSaid+500 {
			t.Errorf("the server's words reach the terminal: %q", answer)
		}
	})
}
