// Esos-init is the /init of ESOS's initramfs: process 1 from the kernel's
// start until systemd takes over. What it does is in internal/boot.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/persist"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "esos-init: it is the first process of a boot, and started by the kernel only")
		os.Exit(2)
	}
	log := slog.New(boot.NewKernelLog(""))
	b := &boot.Boot{
		Linux:    &boot.Kernel{},
		Log:      log,
		Clock:    boot.SinceStart,
		Restore:  persist.Restore,
		Rescue:   boot.NewShells(log).Rescue,
		Attended: func(ctx context.Context, wait time.Duration) bool { return boot.Attended(ctx, "", wait) },
	}
	err := b.Run(context.Background())
	// Nobody ends the context, and the last stage does not return. The kernel
	// stops when process 1 ends: not before the reason was read.
	log.Error("the boot ended", "error", err)
	for {
		time.Sleep(time.Hour)
	}
}
