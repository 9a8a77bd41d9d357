package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// catcher is a mail server that keeps what it gets.
type catcher struct {
	mu        sync.Mutex
	mails     []string
	to        []string
	delivered [][]string
	secure    []bool // whether each came encrypted
	user      string
	refuse    error // of the message, once it is there
	needAuth  bool
	cram      bool   // the only mechanism, also without encryption
	later     string // receivers that begin with this are put off
}

// got returns whom mails came for.
func (c *catcher) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, to := range c.delivered {
		all = append(all, to...)
	}
	return all
}

type session struct {
	c    *catcher
	to   []string
	conn *smtp.Conn
	in   bool
}

func (c *catcher) NewSession(conn *smtp.Conn) (smtp.Session, error) {
	return &session{c: c, conn: conn}, nil
}

func (s *session) AuthMechanisms() []string {
	if s.c.cram {
		return []string{"CRAM-MD5"}
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mech string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "esos" || password != "right" {
			return errors.New("wrong")
		}
		s.in = true
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.c.user = mech
		return nil
	}
	if mech == "CRAM-MD5" {
		return &cramServer{check: check}, nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the LOGIN mechanism, as servers of old have it.
type loginServer struct {
	check func(user, password string) error
	user  string
	step  int
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

// cramServer is the CRAM-MD5 mechanism (RFC 2195).
type cramServer struct {
	check func(user, password string) error
	asked bool
}

const challenge = "<1896.697170952@postoffice.example.net>"

func (c *cramServer) Next(response []byte) ([]byte, bool, error) {
	if !c.asked {
		c.asked = true
		return []byte(challenge), false, nil
	}
	user, digest, _ := strings.Cut(string(response), " ")
	mac := hmac.New(md5.New, []byte("right"))
	_, _ = mac.Write([]byte(challenge)) // it cannot fail
	password := "wrong"
	if digest == hex.EncodeToString(mac.Sum(nil)) {
		password = "right"
	}
	return nil, true, c.check(user, password)
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if s.c.needAuth && !s.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	if s.c.later != "" && strings.HasPrefix(to, s.c.later) {
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted"}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.to, s.to = append(s.c.to, to), append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.c.refuse != nil {
		return s.c.refuse
	}
	s.c.delivered = append(s.c.delivered, s.to)
	_, encrypted := s.conn.TLSConnectionState()
	s.c.mails, s.c.secure = append(s.c.mails, string(text)), append(s.c.secure, encrypted)
	return nil
}

func (s *session) Reset()      { s.to = nil }
func (*session) Logout() error { return nil }

// certificate makes one for 127.0.0.1, and its file.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// serve runs a catcher, and returns how to send to it.
func serve(t *testing.T, c *catcher, security string) config.Mail {
	t.Helper()
	cert, file := certificate(t)
	s := smtp.NewServer(c)
	s.Domain, s.AllowInsecureAuth = "test", c.cram
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	secured := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	switch security {
	case config.MailTLS:
		l = tls.NewListener(l, secured)
	case config.MailStartTLS:
		s.TLSConfig = secured
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }() // it ends with the test
	// The server does not know of a listener that it has not begun to serve yet.
	t.Cleanup(func() { _, _ = s.Close(), l.Close(); <-done })
	return config.Mail{To: []string{"storage@example.com"}, Server: "127.0.0.1", Port: port, Security: security, CA: file}
}

func TestSend(t *testing.T) {
	for name, security := range map[string]string{"clear": config.MailPlainText, "starttls": config.MailStartTLS, "tls": config.MailTLS} {
		t.Run(name, func(t *testing.T) {
			c := &catcher{}
			m := serve(t, c, security)
			if security == config.MailPlainText {
				m.CA = ""
			}
			m.To = append(m.To, "second@example.com")
			_, err := Send(t.Context(), m, "array1", Message{Subject: "[ESOS array1] Platte\r\nBcc: evil@example.com", Body: "größer\n.\nQUIT\n"})
			if err != nil {
				t.Fatal(err)
			}
			if len(c.mails) != 1 || strings.Join(c.to, " ") != "storage@example.com second@example.com" || c.secure[0] != (security != config.MailPlainText) {
				t.Fatalf("to %q, encrypted %v, mails %q", c.to, c.secure, c.mails)
			}
			head, body, _ := strings.Cut(c.mails[0], "\r\n\r\n")
			for _, want := range []string{"From: <esos@array1>", "Auto-Submitted: auto-generated", "Message-ID: <", "Date: "} {
				if !strings.Contains(head, want) {
					t.Errorf("no %q in\n%s", want, head)
				}
			}
			if strings.Contains(head, "\nBcc:") {
				t.Errorf("a subject became a header:\n%s", head)
			}
			if !strings.Contains(body, "gr=C3=B6=C3=9Fer") || !strings.Contains(body, "QUIT") {
				t.Errorf("body %q", body)
			}
		})
	}
}

func TestSendLogsIn(t *testing.T) {
	for _, auth := range []string{config.AuthPlain, config.AuthLogin} {
		c := &catcher{needAuth: true}
		m := serve(t, c, config.MailStartTLS)
		if _, err := Send(t.Context(), m, "h", Message{}); err == nil {
			t.Errorf("%s: sent without logging in", auth)
		}
		m.Auth, m.User, m.Password = auth, "esos", "right"
		if _, err := Send(t.Context(), m, "h", Message{Subject: "s"}); err != nil || len(c.mails) != 1 {
			t.Errorf("%s: %v", auth, err)
		}
		m.Password = "wrong-secret"
		_, err := Send(t.Context(), m, "h", Message{Subject: "s"})
		if err == nil || strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("%s, wrong password: %v", auth, err)
		}
	}
}

// TestSendLogsInUnencrypted: by CRAM-MD5 only, which shows nobody the password.
func TestSendLogsInUnencrypted(t *testing.T) {
	c := &catcher{needAuth: true, cram: true}
	m := serve(t, c, config.MailPlainText)
	m.CA, m.Auth, m.User, m.Password = "", config.AuthCRAMMD5, "esos", "right"
	if _, err := Send(t.Context(), m, "h", Message{}); err != nil || len(c.mails) != 1 || c.user != "CRAM-MD5" {
		t.Errorf("%d mails, logged in by %q, %v", len(c.mails), c.user, err)
	}
	m.Password = "wrong"
	if _, err := Send(t.Context(), m, "h", Message{}); err == nil || !strings.Contains(err.Error(), "refuses the login") {
		t.Errorf("a wrong password: %v", err)
	}
}

// TestSendRefuses: what is to be encrypted never goes in the clear.
func TestSendRefuses(t *testing.T) {
	c := &catcher{}
	clear := serve(t, c, config.MailPlainText)
	clear.Security = config.MailStartTLS
	if _, err := Send(t.Context(), clear, "h", Message{}); err == nil {
		t.Error("a server without STARTTLS got a mail in the clear")
	}
	strange := serve(t, c, config.MailTLS)
	strange.CA = ""
	if _, err := Send(t.Context(), strange, "h", Message{}); err == nil || !strings.Contains(err.Error(), "mail.ca") {
		t.Errorf("a certificate that nobody trusts: %v", err)
	}
	_, other := certificate(t)
	strange.CA = other
	if _, err := Send(t.Context(), strange, "h", Message{}); err == nil {
		t.Error("a certificate of another authority was trusted")
	}
	if len(c.mails) != 0 {
		t.Errorf("mails: %q", c.mails)
	}
}

func TestSendTellsWhatIsForGood(t *testing.T) {
	c := &catcher{}
	m := serve(t, c, config.MailTLS)
	var permanent *PermanentError
	m.To = []string{"nobody@example.com"}
	if _, err := Send(t.Context(), m, "h", Message{}); !errors.As(err, &permanent) {
		t.Errorf("an unknown receiver: %v", err)
	}
	m.To = []string{"somebody@example.com"}
	c.refuse = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "come again"}
	if _, err := Send(t.Context(), m, "h", Message{}); err == nil || errors.As(err, &permanent) {
		t.Errorf("a server that is busy: %v", err)
	}
	m.Port = freePort(t)
	if _, err := Send(t.Context(), m, "h", Message{}); err == nil || errors.As(err, &permanent) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestSendToStrangers: whatever a server says, it is an error in time.
func TestSendToStrangers(t *testing.T) {
	for name, says := range map[string]string{"nothing": "", "noise": "\x00\xff\x00\r\n", "a long line": "220 " + strings.Repeat("x", 1<<20) + "\r\n", "an end": "221 go away\r\n"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, says) // it may be gone
			if says != "" {
				_ = c.Close()
				return
			}
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		m := config.Mail{To: []string{"a@example.com"}, Server: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: config.MailPlainText}
		if _, err := Send(ctx, m, "h", Message{}); err == nil {
			t.Errorf("%s: sent", name)
		}
		cancel()
		_ = l.Close()
		<-done
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
