package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestKillUser(t *testing.T) {
	for _, uid := range []int{0, -1} {
		if err := KillUser("root", uid); err == nil {
			t.Errorf("the processes of user %d were killed", uid)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can run something as somebody else")
	}
	const uid, other = 58231, 58232 // of nobody
	start := func(uid uint32) *exec.Cmd {
		t.Helper()
		cmd := exec.Command("/bin/sleep", "60")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		ok(t, cmd.Start())
		return cmd
	}
	ok(t, KillUser("esos-test-bob", uid)) // nothing runs
	theirs, spared := []*exec.Cmd{start(uid), start(uid)}, start(other)
	ok(t, KillUser("esos-test-bob", uid))
	for _, cmd := range theirs {
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it ended with %v", err)
		}
	}
	if err := spared.Process.Signal(syscall.Signal(0)); err != nil || !runsAs(spared.Process.Pid, other) {
		t.Errorf("another user's was killed: %v", err)
	}
	began := time.Now()
	ok(t, KillUser("esos-test-eve", other))
	if spared.Wait() == nil || time.Since(began) > 10*time.Second {
		t.Error("it was not killed")
	}
}

// sshd is killed that is about to log somebody in, and no other.
func TestKillLogins(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs what could be sshd")
	}
	sleep, err := os.ReadFile("/bin/sleep")
	ok(t, err)
	program := filepath.Join(t.TempDir(), "sshd-session")
	ok(t, os.WriteFile(program, sleep, 0o755))
	start := func(title string) *exec.Cmd {
		t.Helper()
		cmd := &exec.Cmd{Path: program, Args: []string{title, "60"}}
		ok(t, cmd.Start())
		return cmd
	}
	bob := start("sshd-session: esos-test-bob [priv]")
	others := []*exec.Cmd{start("sshd-session: esos-test-bobby [priv]"), start("sshd-session: esos-test [priv]"), start("sshd-session: unknown [net]")}
	ok(t, KillUser("esos-test-bob", 58233))
	if err := bob.Wait(); err == nil || bob.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", err)
	}
	for _, cmd := range others {
		if !runsAs(cmd.Process.Pid, 0) {
			t.Errorf("%q was killed, too", cmd.Args[0])
		}
		ok(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
}
