package boot

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Restart implements Linux. A disk that does not answer holds up neither the
// sync nor the restart for ever.
func (*Kernel) Restart() {
	const patience = 20 * time.Second
	synced := make(chan struct{})
	go func() {
		unix.Sync()
		close(synced)
	}()
	select {
	case <-synced:
	case <-time.After(patience):
	}
	go func() { _ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) }() // shuts the devices down first
	for {
		time.Sleep(patience)
		// At once (Documentation/admin-guide/sysrq.rst, "b").
		_ = os.WriteFile("/proc/sysrq-trigger", []byte("b"), 0o200)
	}
}
