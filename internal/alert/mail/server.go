package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/esos-project/esos/internal/config"
)

// answerTime is how long the server may take for one answer.
const answerTime = 20 * time.Second

// client is what speaks to the server, until ctx ends.
func client(ctx context.Context, m config.Mail, host string, d *delivery) (*gomail.Client, error) {
	roots, err := authorities(m.CA)
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{ServerName: m.Server, RootCAs: roots, MinVersion: tls.VersionTLS12}
	o := []gomail.Option{
		gomail.WithPort(m.Port), gomail.WithHELO(host), gomail.WithTimeout(answerTime), gomail.WithoutNoop(),
		gomail.WithTLSConfig(secure), gomail.WithDialContextFunc(dial(ctx, d, m.Security == config.MailTLS, secure)),
	}
	switch m.Security {
	case config.MailTLS:
		o = append(o, gomail.WithSSL())
	case config.MailStartTLS:
		// It never falls back to clear text: whoever sits on the wire could
		// have it so.
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if m.Auth != config.AuthNone {
		kind := map[string]gomail.SMTPAuthType{config.AuthPlain: gomail.SMTPAuthPlain, config.AuthLogin: gomail.SMTPAuthLogin, config.AuthCRAMMD5: gomail.SMTPAuthCramMD5}[m.Auth]
		o = append(o, gomail.WithSMTPAuth(kind), gomail.WithUsername(m.User), gomail.WithPassword(string(m.Password)))
	}
	return gomail.NewClient(m.Server, o...)
}

// dial connects so that the end of a context ends whatever is waited for: a
// server that says nothing must not keep the daemon from ending.
func dial(ctx context.Context, delivering *delivery, encrypted bool, secure *tls.Config) gomail.DialContextFunc {
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(dialing, network, address)
		if err != nil {
			return nil, err
		}
		// The library's context ends once it is connected; ours does not.
		delivering.closeWith(ctx, conn)
		bounded := &limited{Conn: conn}
		if !encrypted {
			return bounded, nil
		}
		c := tls.Client(bounded, secure)
		if err := c.HandshakeContext(dialing); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return c, nil
	}
}

// maxAnswers is all that a server may say while it takes a mail. Its answers
// are short (RFC 5321 4.5.3.1.5); certificates are the largest part. What comes
// without an end would fill the memory.
const maxAnswers = 1 << 20

var errTalkative = fmt.Errorf("it says more than %d bytes: this is no mail server", maxAnswers)

// limited is a connection that reads so much and no more.
type limited struct {
	net.Conn
	read atomic.Int64
}

// Read reads, up to the limit.
func (l *limited) Read(p []byte) (int, error) {
	if l.read.Load() > maxAnswers {
		return 0, errTalkative
	}
	n, err := l.Conn.Read(p)
	l.read.Add(int64(n))
	return n, err
}

// authorities are those whose signature on the server's certificate counts;
// nil for the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authority of its certificate (mail.ca): %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authority of its certificate (mail.ca): %s holds no certificate in PEM", file)
	}
	return pool, nil
}
