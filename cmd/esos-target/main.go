// Command esos-target is the target process: it serves devices to iSCSI
// initiators and does nothing else. The daemon (esos serve) or systemd starts
// it; the daemon hands it descriptors of what to serve, and may come and go
// while it serves.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/engine/native/process"
	"github.com/esos-project/esos/internal/engine/native/sandbox"
	"github.com/esos-project/esos/internal/version"
)

// controlFD is the descriptor at which whoever starts it leaves the control
// socket; systemd's socket units begin there as well.
const controlFD = 3

// maxFiles is how many descriptors the process asks for: two a device and one
// a connection.
const maxFiles = 1 << 18

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "esos-target:", err)
		os.Exit(1)
	}
}

func run() error {
	state := flag.String("state", "", "`directory` of what must survive a restart: reservations, journals of atomic writes")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "esos-target is started by esos serve, with its control socket as descriptor %d.\n", controlFD)
		flag.PrintDefaults()
	}
	flag.Parse()
	if *state == "" || flag.NArg() > 0 {
		flag.Usage()
		return errors.New("start esos serve instead")
	}
	listener, err := controlSocket()
	if err != nil {
		return err
	}
	defer listener.Close()

	// A daemon that dies while a record is on its way to it must not end the
	// process, nor must the terminal that it was started from.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	system, err := findSupervisor()
	if err != nil {
		return err
	}
	lock, err := lockState(*state)
	if err != nil {
		return err
	}
	defer lock.Close()
	owner := os.Getuid()
	held, err := sandbox.Confine(sandbox.Confinement{Dir: *state, Files: maxFiles})
	if err != nil {
		return err
	}
	// The heap is small and still on the fast path; collecting it less often
	// costs a few MiB.
	debug.SetGCPercent(400)

	server := control.NewServer(owner)
	log := process.NewLog(server.Publish)
	p := process.New(process.Options{
		Log: log, Publish: server.Publish, StateDir: ".", Build: version.String(), Confinement: held,
	})

	served := make(chan error, 1)
	serveCtx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { served <- server.Serve(serveCtx, listener, p, log) }()
	system.tell("READY=1")
	go system.feed(serveCtx, p.Answer)
	select {
	case err := <-served:
		p.Stop(context.Background())
		return err
	case <-ctx.Done():
		system.tell("STOPPING=1")
		p.Stop(context.Background())
	case <-p.Stopped():
	}
	cancel()
	server.Close() // the answer to whoever asked for the end goes out first
	return <-served
}

// controlSocket is the listening socket that the daemon left.
func controlSocket() (*net.UnixListener, error) {
	f := os.NewFile(controlFD, "control")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d is no control socket (esos serve starts this program): %w", controlFD, err)
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("descriptor %d is no Unix socket", controlFD)
	}
	ul.SetUnlinkOnClose(false)
	return ul, nil
}

// lockState keeps other esos-targets away from the state directory: two would
// overwrite each other's reservations and journals. The lock ends with the
// process; one that was killed may take a moment to be gone.
func lockState(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open state directory: %w", err)
	}
	for end := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("another esos-target works with %s: its daemon has, or had, another run directory; start esos serve with that one, or end it", dir)
	}
	return nil, fmt.Errorf("lock state directory %s: %w", dir, err)
}
