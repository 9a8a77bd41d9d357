package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Inside is set in the environment of shells that the console started: login
// shells in them do not start it again.
const Inside = "ESOS_CONSOLE"

// Shell runs a shell as the user who logged in, until it ends.
func Shell(in, out, errs *os.File) error {
	c := exec.Command(shellPath())
	c.Stdin, c.Stdout, c.Stderr = in, out, errs
	c.Env = append(os.Environ(), Inside+"=1")
	if err := asLoginUser(c); err != nil {
		return err
	}
	// The shell takes the terminal for itself; it is taken back whether or not
	// the shell gives it back, and its Ctrl-C is none of ours.
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGQUIT)
	defer signal.Stop(interrupts)
	err := c.Run()
	_ = unix.IoctlSetPointerInt(int(in.Fd()), unix.TIOCSPGRP, unix.Getpgrp())
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) { // how a shell ends says nothing
		return fmt.Errorf("run a shell: %w", err)
	}
	return nil
}

func shellPath() string {
	for _, s := range []string{"/bin/bash", os.Getenv("SHELL")} {
		if _, err := exec.LookPath(s); err == nil {
			return s
		}
	}
	return "/bin/sh"
}

// asLoginUser gives up what sudo gave.
func asLoginUser(c *exec.Cmd) error {
	name := os.Getenv("SUDO_USER")
	if name == "" || name == "root" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("run a shell as %s: %w", name, err)
	}
	uid, err := number(u.Uid)
	if err != nil {
		return err
	}
	gid, err := number(u.Gid)
	if err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uid, Gid: gid}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("run a shell as %s: %w", name, err)
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return err
		}
		cred.Groups = append(cred.Groups, g)
	}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	var env []string
	for _, e := range c.Env {
		if !strings.HasPrefix(e, "SUDO_") {
			env = append(env, e)
		}
	}
	c.Env = append(env, "HOME="+u.HomeDir, "USER="+name, "LOGNAME="+name)
	if info, err := os.Stat(u.HomeDir); err == nil && info.IsDir() {
		c.Dir = u.HomeDir
	}
	return nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("user or group number %q: %w", id, err)
	}
	return uint32(n), nil
}

// Root says whether commands can be run as root without a question; nil if so.
func Root(ctx context.Context) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return exec.CommandContext(ctx, "sudo", "-n", "true").Run()
}

// AskForRoot has sudo ask for the password, on the terminal.
func AskForRoot() error {
	if Root(context.Background()) == nil {
		return nil
	}
	fmt.Print("\nSome entries work on the machine itself, which only root may.\n\n")
	c := exec.Command("sudo", "-v")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return c.Run()
}

// Leave runs a shell on the console's terminal.
func Leave() error {
	fmt.Print("\nexit leads back to the console.\n\n")
	return Shell(os.Stdin, os.Stdout, os.Stderr)
}
