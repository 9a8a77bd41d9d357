package host

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestKillUser(t *testing.T) {
	for _, uid := range []int{0, -1} {
		if err := KillUser(uid); err == nil {
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
	ok(t, KillUser(uid)) // nothing runs
	theirs, spared := []*exec.Cmd{start(uid), start(uid)}, start(other)
	ok(t, KillUser(uid))
	for _, cmd := range theirs {
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("it ended with %v", err)
		}
	}
	if err := spared.Process.Signal(syscall.Signal(0)); err != nil || !runsAs(spared.Process.Pid, other) {
		t.Errorf("another user's was killed: %v", err)
	}
	began := time.Now()
	ok(t, KillUser(other))
	if spared.Wait() == nil || time.Since(began) > 10*time.Second {
		t.Error("it was not killed")
	}
}
