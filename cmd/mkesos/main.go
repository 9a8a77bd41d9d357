// Command mkesos makes ESOS's images, writes them to sticks and tries them in
// a virtual machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/esos-project/esos/internal/mkesos"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := mkesos.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
