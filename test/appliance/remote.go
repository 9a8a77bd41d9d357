package appliance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Remote runs commands in the appliance over SSH.
type Remote struct {
	client *ssh.Client
}

// ExitError is a command that ended with another status than 0.
type ExitError struct {
	Command string
	Status  int
	Output  string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: exit status %d\n%s", strings.TrimSpace(e.Command), e.Status, e.Output)
}

// SSH logs in. The appliance may still be booting.
func (m *Machine) SSH(ctx context.Context) (*Remote, error) {
	return m.login(ctx, "root", ssh.PublicKeys(m.lab.key))
}

// SSHAs logs in as one who has a password.
func (m *Machine) SSHAs(ctx context.Context, user, password string) (*Remote, error) {
	return m.login(ctx, user, ssh.Password(password))
}

func (m *Machine) login(ctx context.Context, user string, auth ssh.AuthMethod) (*Remote, error) {
	var mu sync.Mutex
	var first *ssh.Client
	err := m.poll(ctx, "a login over SSH", func(ctx context.Context) error {
		c, err := m.dial(ctx, user, auth)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if first != nil {
			return c.Close()
		}
		first = c
		return nil
	})
	if err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return &Remote{client: first}, nil
}

func (m *Machine) dial(ctx context.Context, user string, auth ssh.AuthMethod) (*ssh.Client, error) {
	address := m.Address(22)
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c, chans, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: user,
		Auth: []ssh.AuthMethod{auth},
		// The machine was started by this process on this host's loopback.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(c, chans, requests), nil
}

// Run runs a command line and returns what it printed, standard output and
// error together. An *ExitError tells of a status other than 0.
func (r *Remote) Run(ctx context.Context, command string) (string, error) {
	return r.Pipe(ctx, command, "")
}

// Pipe is Run with an input.
func (r *Remote) Pipe(ctx context.Context, command, input string) (string, error) {
	s, err := r.client.NewSession()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", command, err)
	}
	defer s.Close()
	var out lockedBuffer
	s.Stdin, s.Stdout, s.Stderr = strings.NewReader(input), &out, &out
	done := make(chan error, 1)
	go func() { done <- s.Run(command) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = s.Close()
		return out.String(), fmt.Errorf("run %s: %w", command, ctx.Err())
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return out.String(), &ExitError{Command: command, Status: exit.ExitStatus(), Output: out.String()}
	}
	if err != nil {
		return out.String(), fmt.Errorf("run %s: %w", command, err)
	}
	return out.String(), nil
}

// Dial connects to what listens in the appliance, such as a Unix socket there.
func (r *Remote) Dial(network, address string) (net.Conn, error) {
	return r.client.Dial(network, address)
}

// Close ends the connection.
func (r *Remote) Close() error { return r.client.Close() }

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
