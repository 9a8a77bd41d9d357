package machine

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// person is somebody with a key.
type person struct {
	name, role string
	key        ssh.Signer
}

func newPerson(t *testing.T, name, role string) person {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return person{name, role, key}
}

// line is the person's line in authorized_keys.
func (p person) line() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.key.PublicKey()))) + " " + p.name + "@desk"
}

// errRefused says that sshd does not let somebody in.
var errRefused = errors.New("the login is refused")

// dial logs in. Who was refused a few times is kept waiting by sshd, which
// closes connections at once then (sshd_config(5), PerSourcePenalties).
func (p person) dial(ctx context.Context, address string) (*ssh.Client, error) {
	for {
		client, err := p.tryDial(ctx, address)
		if err == nil || errors.Is(err, errRefused) {
			return client, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(2 * time.Second):
		}
	}
}

func (p person) tryDial(ctx context.Context, address string) (*ssh.Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c, chans, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: p.name, Auth: []ssh.AuthMethod{ssh.PublicKeys(p.key)},
		// The machine was started by this process on this host's loopback.
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil && strings.Contains(err.Error(), "unable to authenticate") {
		err = fmt.Errorf("%w: %w", errRefused, err)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ssh.NewClient(c, chans, requests), nil
}

// run runs a command as the person, over SSH.
func (p person) run(ctx context.Context, address, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	client, err := p.dial(ctx, address)
	if err != nil {
		return "", err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.CombinedOutput(command)
	return string(out), err
}

// document is what the appliance has, and then the machine's part.
func document(before string, people []person) string {
	var b strings.Builder
	b.WriteString(before)
	b.WriteString("clock:\n  timezone: America/New_York\n  ntp: [192.0.2.123, ntp.example.com]\nusers:\n")
	for _, p := range people {
		fmt.Fprintf(&b, "  - name: %s\n    role: %s\n    full_name: Test %s\n    ssh_keys: [%q]\n", p.name, p.role, p.name, p.line())
	}
	b.WriteString("services:\n  - {name: snmp, enabled: true}\n  - {name: cron, enabled: false}\n")
	return b.String()
}

func TestMachine(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	a := &array{Stand: shared.New(ctx, t, appliance.Options{}), ann: newPerson(t, "ann", "admin"), bob: newPerson(t, "bob", "operator"), eve: newPerson(t, "eve", "viewer")}
	a.Boot(ctx)
	a.started(ctx)

	old := a.Run(ctx, "esos config show --reveal")
	began := time.Now()
	out, err := a.Remote.Pipe(ctx, "cat >/run/new.yaml && esos plan -f /run/new.yaml && esos apply -y -f /run/new.yaml", document(old, []person{a.ann, a.bob, a.eve}))
	if err != nil {
		t.Fatalf("apply: %v\n%s", err, a.Run(ctx, "journalctl -b -u esos --no-pager | tail -50"))
	}
	t.Logf("applied in %s:\n%s", time.Since(began).Round(time.Millisecond), out)
	if got := a.Run(ctx, "esos apply -y -f /run/new.yaml"); !strings.Contains(got, "no changes") {
		t.Errorf("applied a second time:\n%s", got)
	}
	a.holds(ctx)

	a.changes(ctx)

	a.Reboot(ctx)
	a.started(ctx)
	a.holds(ctx)
	a.removal(ctx)
}

// array is an appliance that is tested.
type array struct {
	*stand.Stand
	ann, bob, eve person
}

// started waits until all services were started.
func (a *array) started(ctx context.Context) {
	a.T.Helper()
	if _, err := a.Remote.Run(ctx, "systemctl is-system-running --wait"); err != nil {
		a.T.Logf("not all is well after boot: %v\n%s", err, a.Run(ctx, "systemctl --failed --no-pager"))
	}
}

// as runs a command as somebody; works says whether it must.
func (a *array) as(ctx context.Context, p person, works bool, command string) string {
	a.T.Helper()
	out, err := p.run(ctx, a.Address(22), command)
	if (err == nil) != works || err != nil && !errors.Is(err, errRefused) && !errors.As(err, new(*ssh.ExitError)) {
		a.T.Errorf("%s (%s): %s: %v, want works=%v\n%s", p.name, p.role, command, err, works, out)
	}
	return out
}

// shutOut tries to log in as somebody who must not get in.
func (a *array) shutOut(ctx context.Context, p person) {
	a.T.Helper()
	// sshd lets people in just now, and so it is this one whom it does not. It
	// refuses some politely, and hangs up on others, whose accounts expired.
	a.as(ctx, a.ann, true, "true")
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if client, err := p.tryDial(ctx, a.Address(22)); err == nil {
		_ = client.Close()
		a.T.Errorf("%s gets in", p.name)
	} else if ctx.Err() != nil {
		a.T.Errorf("whether %s gets in is not known: %v", p.name, err)
	}
}

// holds holds the machine to the document.
func (a *array) holds(ctx context.Context) {
	t := a.T
	t.Helper()
	for _, p := range []person{a.ann, a.bob, a.eve} {
		if got := a.as(ctx, p, true, "id -un; pwd; ls -A"); !strings.HasPrefix(got, p.name+"\n/home/"+p.name+"\n") || !strings.Contains(got, ".profile") {
			t.Errorf("%s logs in to:\n%s", p.name, got)
		}
		a.as(ctx, p, true, "esos status")
		a.as(ctx, p, true, "esos config show")
		a.as(ctx, p, false, "cat /etc/shadow")
		if got := a.as(ctx, p, true, "date +%Z"); got != "EST\n" && got != "EDT\n" {
			t.Errorf("the time zone is %q", got)
		}
	}
	// What each role may do.
	a.as(ctx, a.eve, false, "esos device create eves --handler vdisk_nullio --size 1GiB")
	a.as(ctx, a.bob, true, "esos device create bobs --handler vdisk_nullio --size 1GiB")
	a.as(ctx, a.bob, false, "esos account set bob --role admin")
	a.as(ctx, a.bob, false, "esos clock set-timezone UTC")
	a.as(ctx, a.bob, false, "esos service disable ssh")
	a.as(ctx, a.bob, false, "esos config show --reveal")
	a.as(ctx, a.bob, true, "esos device delete bobs")
	a.as(ctx, a.ann, true, "esos account set eve --full-name Eve && esos account set eve --full-name 'Test eve'")
	a.as(ctx, a.ann, false, "esos account delete ann")
	a.as(ctx, a.ann, false, "esos account set ann --role viewer")
	for p, want := range map[*person]string{&a.ann: "adm ann esos sudo", &a.bob: "adm bob esos esos-operator", &a.eve: "esos esos-viewer eve"} {
		if got := strings.TrimSpace(a.as(ctx, *p, true, "id -Gn | tr ' ' '\\n' | sort | tr '\\n' ' '")); got != want {
			t.Errorf("%s is in the groups %q, want %q", p.name, got, want)
		}
	}
	// The clock.
	if got := a.Run(ctx, "readlink -f /etc/localtime; cat /etc/timezone; systemctl is-enabled systemd-timesyncd; systemctl is-active systemd-timesyncd"); got != "/usr/share/zoneinfo/America/New_York\nAmerica/New_York\nenabled\nactive\n" {
		t.Errorf("the clock:\n%s", got)
	}
	if got := a.Run(ctx, "timedatectl show-timesync -p SystemNTPServers --value; timedatectl show-timesync -p FallbackNTPServers --value"); strings.TrimSpace(got) != "192.0.2.123 ntp.example.com" {
		t.Errorf("time servers: %q", got)
	}
	t.Log(a.Run(ctx, "esos clock show"))
	if out, err := a.Remote.Run(ctx, "esos clock set 2030-01-01 00:00:00"); err == nil {
		t.Errorf("the clock was set by hand while time servers are asked: %s", out)
	}
	// Services.
	if got := a.Run(ctx, "systemctl is-enabled snmpd; systemctl is-active snmpd; systemctl is-enabled cron || true; systemctl is-active cron || true"); got != "enabled\nactive\ndisabled\ninactive\n" {
		t.Errorf("services snmpd and cron:\n%s", got)
	}
	t.Log(a.Run(ctx, "esos service list; ls -l /run/esos/api.sock; journalctl -b -u esos -p warning --no-pager"))
}

// changes changes one thing after the other.
func (a *array) changes(ctx context.Context) {
	t := a.T
	// A password for sudo; it is nowhere to be seen.
	if _, err := a.Remote.Pipe(ctx, "esos account password ann --password-file -", "correct horse 9\n"); err != nil {
		t.Fatal(err)
	}
	if got := a.as(ctx, a.ann, true, "echo 'correct horse 9' | sudo -S id -un"); !strings.HasSuffix(strings.TrimSpace(got), "root") {
		t.Errorf("sudo as ann: %s", got)
	}
	if got := a.Run(ctx, "esos config show; esos config history; journalctl -b --no-pager | grep -F '$6$' || true"); strings.Contains(got, "$6$") {
		t.Errorf("a hash is seen:\n%s", got)
	}
	// Locked, with a session open: it ends, and none begins.
	ended := make(chan struct{})
	bob, err := a.bob.dial(ctx, a.Address(22))
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	go func() {
		defer close(ended)
		_ = bob.Wait()
	}()
	a.Run(ctx, "esos account set bob --lock")
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Errorf("a connection of a user who was locked goes on:\n%s", a.Run(ctx, "ps -eo pid,user,args | grep ssh; journalctl -b -u ssh -u esos --no-pager | tail -30"))
	}
	a.shutOut(ctx, a.bob)
	a.Run(ctx, "esos account set bob --unlock")
	a.as(ctx, a.bob, true, "true")
	// By hand: the next apply mends it.
	a.Run(ctx, "gpasswd -a eve sudo; echo >/etc/ssh/authorized_keys.d/ann; esos apply -y -f /run/new.yaml || true; esos account set bob --full-name Bob; esos account set bob --full-name 'Test bob'")
	a.as(ctx, a.ann, true, "true")
	if got := a.Run(ctx, "id -Gn eve"); strings.Contains(got, "sudo") {
		t.Errorf("a group that was given by hand stays: %s", got)
	}
	// The clock by hand.
	a.Run(ctx, "esos clock set-ntp --off && esos clock set 2030-05-06 07:08:09")
	if got := a.Run(ctx, "date '+%Y-%m-%d %H:%M'"); !strings.HasPrefix(got, "2030-05-06 07:0") {
		t.Errorf("the clock was set to %s", got)
	}
	a.Run(ctx, fmt.Sprintf("esos clock set %s && esos clock set-ntp 192.0.2.123 ntp.example.com", time.Now().UTC().Format(time.RFC3339)))
	// A service that fails is told, and what cannot be is refused.
	if out, err := a.Remote.Run(ctx, "esos clock set-timezone Mars/Olympus"); err == nil || !strings.Contains(out, "Mars/Olympus") {
		t.Errorf("a zone that there is not: %v %s", err, out)
	}
	if out, err := a.Remote.Run(ctx, "esos service disable systemd-networkd"); err == nil || !strings.Contains(out, "network") {
		t.Errorf("what ESOS needs was switched off: %v %s", err, out)
	}
	a.Run(ctx, "mkdir /etc/systemd/system/iperf3.service.d && printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\nSuccessExitStatus=\\n' >/etc/systemd/system/iperf3.service.d/broken.conf && systemctl daemon-reload")
	if out, err := a.Remote.Run(ctx, "esos service enable iperf3"); err == nil || !strings.Contains(out, "journalctl -u iperf3") {
		t.Errorf("a service that ends at once was started: %v %s", err, out)
	}
	if got := a.Run(ctx, "systemctl is-enabled iperf3 || true; systemctl is-active iperf3 || true; esos service list | grep iperf3"); !strings.HasPrefix(got, "disabled\ninactive\n") && !strings.HasPrefix(got, "disabled\nfailed\n") {
		t.Errorf("after a start that failed, iperf3 is %s", got)
	}
	a.Run(ctx, "esos service restart snmp")
}

// removal removes users.
func (a *array) removal(ctx context.Context) {
	t := a.T
	a.as(ctx, a.bob, true, "echo mine >notes")
	a.Run(ctx, "esos account delete bob")
	a.shutOut(ctx, a.bob)
	if got := a.Run(ctx, "cat /home/bob/notes; getent passwd bob group bob || true; ls /etc/ssh/authorized_keys.d/bob /etc/tmpfiles.d/*bob* 2>/dev/null || true"); got != "mine\n" {
		t.Errorf("after bob was removed:\n%s", got)
	}
	a.as(ctx, a.eve, true, "echo mine >notes")
	if out, err := a.Remote.Run(ctx, "esos account delete eve --destroy user/eve; ls /home"); err != nil || strings.Contains(out[strings.LastIndex(out, "revision"):], "eve") {
		t.Errorf("after eve was removed with her home: %v\n%s", err, out)
	}
	a.shutOut(ctx, a.eve)
	a.as(ctx, a.ann, true, "esos status")
}
