package boot

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Shells gives people a shell on each console when a stage failed.
type Shells struct {
	Log *slog.Logger
	// Program is the shell and its arguments.
	Program []string
	Root    string // put before the path of each file; "" but in tests

	// Shortest is how long a shell lives that a person left: one that ends
	// before has no terminal. Pause is how long to wait before the stage is
	// tried again if there is no shell at all.
	Shortest, Pause time.Duration
}

// NewShells returns what the initramfs uses: busybox.
func NewShells(log *slog.Logger) *Shells {
	return &Shells{Log: log, Program: []string{"/bin/busybox", "sh"}, Shortest: time.Second, Pause: 30 * time.Second}
}

// Rescue tells the reason on all consoles and returns when a person left the
// shell on one of them. They can restart the machine from it as well. Without
// a shell it returns after a pause: a disk may be there then.
func (s *Shells) Rescue(ctx context.Context, stage string, reason error) {
	s.Log.Error("the boot stopped: "+stage, "reason", reason.Error())
	WriteConsoles(s.Root, fmt.Sprintf(`

ESOS could not be started. What failed: %s.
%v

This is a shell of the initramfs. The kernel's messages: dmesg. To change the
kernel's arguments: restart, and press e on the entry in GRUB's menu.
    exit         tries again
    reboot -f    restarts the machine
`, stage, reason))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan string)
	n := 0
	for _, c := range consoles(s.Root) {
		n++
		go func() {
			left <- s.shell(ctx, c)
		}()
	}
	for ; n > 0; n-- {
		if console := <-left; console != "" {
			s.Log.Info("trying again", "console", console)
			cancel() // the other shells
			for n--; n > 0; n-- {
				<-left
			}
			return
		}
	}
	select {
	case <-time.After(s.Pause):
	case <-ctx.Done():
	}
}

// shell runs a shell on a console, and returns the console's name if it was
// left by a person.
func (s *Shells) shell(ctx context.Context, c console) string {
	f, err := os.OpenFile(c.path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		s.Log.Error("start a shell", "error", err)
		return ""
	}
	defer f.Close()
	term := "vt220"
	if c.screen {
		term = "linux"
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, s.Program[0], s.Program[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + searchPath, "HOME=/", "TERM=" + term, "PS1=esos-rescue# "}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f
	// A terminal of its own: job control, and ^C for what runs in it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "" // another was left
	case time.Since(began) < s.Shortest:
		s.Log.Error("a shell ended at once", "console", c.path, "error", err)
		return ""
	}
	return c.path
}
