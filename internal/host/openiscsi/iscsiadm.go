package openiscsi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Machine is what logs in and out (host.Linux).
type Machine interface {
	Reader
	Output(ctx context.Context, c host.Call) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
	Delete(path string) error
	DeleteDir(path string) error
}

// Exit codes of iscsiadm (iscsiadm(8), EXIT STATUS).
const (
	exitTransport = 4  // nobody answers
	exitTimeout   = 8  // nobody answers in time
	exitExists    = 15 // there is such a session
	exitNoDaemon  = 20 // iscsid does not run
	exitRefused   = 24 // the target wants another name or secret
)

// service is the daemon that logs in, and in again where a session was lost.
const service = "iscsid.service"

// Start has the daemon run. Its unit is off in the image: a machine without
// remote disks needs none.
func Start(ctx context.Context, m Machine) error {
	if _, err := InitiatorName(m); err != nil {
		return err // iscsid does not start without one
	}
	if _, err := m.Output(ctx, host.Call{Name: "systemctl", Args: []string{"is-active", "--quiet", service}}); err == nil {
		return nil
	}
	// The daemon loads no transport by itself (Debian's startup checks neither).
	if _, err := m.Output(ctx, host.Call{Name: "modprobe", Args: []string{"iscsi_tcp"}}); err != nil {
		return fmt.Errorf("load iSCSI's module: %w", err)
	}
	if _, err := m.Output(ctx, host.Call{Name: "systemctl", Args: []string{"start", service}}); err != nil {
		return fmt.Errorf("start iscsid: %w; 'journalctl -u %s' may say more", err, service)
	}
	return nil
}

// Login writes a node's record and logs in to it. A session that is there
// already is as good.
func Login(ctx context.Context, m Machine, n Node) error {
	if err := m.Save(n.Path(), []byte(n.Record()), 0o600); err != nil {
		return fmt.Errorf("log in to %v: %w", n, err)
	}
	return LoginAgain(ctx, m, n)
}

// Logout ends a session; one that is gone already is no error. Its disks go.
func Logout(ctx context.Context, m Machine, s Session) error {
	_, err := m.Output(ctx, host.Call{Name: "iscsiadm", Args: []string{"--mode", "session", "--sid", strconv.Itoa(s.ID), "--logout"}})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("log out of %v: %w", s, err)
	left, look := Sessions(m)
	if look != nil || slices.ContainsFunc(left, func(o Session) bool { return o.ID == s.ID }) {
		return errors.Join(err, look)
	}
	return nil
}

// Rescan has the kernel look for disks that a target shows by now.
func Rescan(ctx context.Context, m Machine, s Session) error {
	if _, err := m.Output(ctx, host.Call{Name: "iscsiadm", Args: []string{"--mode", "session", "--sid", strconv.Itoa(s.ID), "--rescan"}}); err != nil {
		return fmt.Errorf("look for disks of %v: %w", s, err)
	}
	return nil
}

// Forget removes a record.
func Forget(m Machine, file string) error {
	if !strings.HasPrefix(file, Nodes+"/") {
		return fmt.Errorf("forget a target: %s is no record of one", file)
	}
	if err := m.Delete(file); err != nil {
		return fmt.Errorf("forget a target: %w", err)
	}
	return m.DeleteDir(path.Dir(file)) // stays where it has others
}

// LoginAgain logs in by the record that is there.
func LoginAgain(ctx context.Context, m Machine, n Node) error {
	_, err := m.Output(ctx, host.Call{Name: "iscsiadm", Args: []string{"--mode", "node", "--targetname", n.Target, "--portal", n.Portal.String(), "--login"}})
	var exit *host.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return fmt.Errorf("log in to %v: %w", n, err)
		}
		return nil
	}
	switch exit.Code {
	case exitExists:
		return nil
	case exitTransport, exitTimeout:
		return fmt.Errorf("log in to %v: nobody answers there as an iSCSI target (%w)", n, err)
	case exitRefused:
		name, nameErr := InitiatorName(m)
		if nameErr != nil {
			return errors.Join(err, nameErr)
		}
		return fmt.Errorf("log in to %v: it refused; does it let initiator %s in, and are CHAP name and secret right? (%w)", n, name, err)
	case exitNoDaemon:
		return fmt.Errorf("log in to %v: iscsid does not answer; 'journalctl -u %s' may say why (%w)", n, service, err)
	}
	return fmt.Errorf("log in to %v: %w", n, err)
}
