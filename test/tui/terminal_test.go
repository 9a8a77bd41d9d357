package tui

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// patience is how long something may take to be shown: translated code on a
// busy machine is slow.
const patience = 5 * time.Minute

// terminal is a VT100 of 80x24, which tmux imitates, with the console in it.
type terminal struct {
	ctx    context.Context
	t      *testing.T
	socket string
}

// sit logs in to the appliance from a VT100 and starts its console.
func sit(ctx context.Context, a *stand.Stand) *terminal {
	a.T.Helper()
	dir := level.ShortDir(a.T)
	key := login(ctx, a, dir)
	host, port, err := net.SplitHostPort(a.Address(22))
	if err != nil {
		a.T.Fatal(err)
	}
	v := &terminal{ctx: ctx, t: a.T, socket: filepath.Join(dir, "tmux")}
	// The host's key is new, and the machine this process's own.
	command := "TERM=vt100 ssh -tt -p " + port + " -i " + key + " -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@" + host +
		" esos tui"
	// A server that is slow to let others in may turn this one away (MaxStartups
	// of sshd_config(5)); what the console itself says when it fails is shown.
	command = "n=0; until " + command + "; do n=$((n+1)); [ $n -lt 20 ] || break; sleep 5; done; echo it ended; sleep 1000"
	v.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command)
	a.T.Cleanup(func() {
		if a.T.Failed() {
			a.T.Logf("the terminal shows\n%s", v.look())
		}
		_ = v.run("kill-server").Run() // it may have ended by itself
	})
	return v
}

// login lets a key of its own log in, and returns the file that has it.
func login(ctx context.Context, a *stand.Stand, dir string) string {
	a.T.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		a.T.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		a.T.Fatal(err)
	}
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		a.T.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		a.T.Fatal(err)
	}
	a.Pipe(ctx, "cat >>/etc/ssh/authorized_keys.d/root", string(ssh.MarshalAuthorizedKey(line)))
	return file
}

func (v *terminal) run(args ...string) *exec.Cmd {
	// The session outlives the command; its end is the test's.
	c := exec.CommandContext(context.WithoutCancel(v.ctx), "tmux", append([]string{"-S", v.socket}, args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	return c
}

func (v *terminal) tmux(args ...string) string {
	v.t.Helper()
	out, err := v.run(args...).CombinedOutput()
	if err != nil {
		v.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// look is what the terminal shows.
func (v *terminal) look() string {
	out, _ := v.run("capture-pane", "-p").CombinedOutput() // it may be gone
	return string(out)
}

// press presses keys, as tmux calls them.
func (v *terminal) press(keys ...string) {
	v.t.Helper()
	v.tmux(append([]string{"send-keys"}, keys...)...)
}

// write types text.
func (v *terminal) write(text string) {
	v.t.Helper()
	if text != "" {
		v.tmux("send-keys", "-l", "--", text)
	}
}

// fill types text in the place of what is in a field, and goes to the next.
func (v *terminal) fill(text string) {
	v.t.Helper()
	v.press("C-u")
	v.write(text)
	v.press("Tab")
}

// choose opens the field that has the keys and takes the first option with some
// letters.
func (v *terminal) choose(title, letters string) {
	v.t.Helper()
	v.write(" ")
	v.wait(title)
	v.write(letters)
	v.press("Enter")
}

// open opens an action, by search.
func (v *terminal) open(title, shows string) {
	v.t.Helper()
	v.write("/")
	v.wait("Type a part of what you look for")
	v.write(strings.ToLower(title))
	v.wait("with: " + strings.ToLower(title))
	v.press("Enter")
	v.wait(shows)
}

// wait waits until the terminal shows a text.
func (v *terminal) wait(text string) {
	v.t.Helper()
	for end := time.Now().Add(patience); ; {
		s := v.look()
		if strings.Contains(s, text) {
			return
		}
		if time.Now().After(end) || v.ctx.Err() != nil {
			v.t.Fatalf("the terminal does not show %q", text)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// carryOut confirms the plan that is shown, and waits until its end is.
func (v *terminal) carryOut(says, done string) {
	v.t.Helper()
	v.wait(says)
	v.press("End")
	v.wait("Press c to carry this out")
	v.write("c")
	v.wait("Carry this out?")
	v.press("Left", "Enter")
	v.wait(done)
}

// asPerson runs a command as somebody who logs in with a password. It tries
// once, and waits: the hash of a password takes a while in translated code,
// and attempts beside one another would only slow each other down.
func asPerson(ctx context.Context, a *stand.Stand, user, password, command string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.Address(22))
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// The machine was started by this process on this host's loopback.
	c, chans, requests, err := ssh.NewClientConn(conn, a.Address(22), &ssh.ClientConfig{User: user,
		Auth: []ssh.AuthMethod{ssh.Password(password)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		return "", errors.Join(err, conn.Close())
	}
	client := ssh.NewClient(c, chans, requests)
	defer client.Close()
	s, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer s.Close()
	out, err := s.CombinedOutput(command)
	return string(out), err
}
