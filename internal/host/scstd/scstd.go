// Package scstd is the gate to iscsi-scstd, the program that listens and logs
// initiators in for SCST's iSCSI driver. All of that driver's targets end when
// it does.
package scstd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Daemon is iscsi-scstd, whoever started it. The zero value is this machine's.
type Daemon struct {
	Proc    string // /proc if ""
	Systemd string // /run/systemd/system if ""
	// Run runs a program (host.Run if nil).
	Run func(ctx context.Context, input, name string, args ...string) error
}

const (
	program     = "iscsi-scstd"
	unit        = "esos-iscsi-scstd"
	defaultPort = 3260 // ISCSI_LISTEN_PORT
	patience    = 20 * time.Second
)

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// find returns the process and the port that it was told; 0 if it does not run.
func (d Daemon) find() (pid, port int, err error) {
	proc := or(d.Proc, "/proc")
	entries, err := os.ReadDir(proc)
	if err != nil {
		return 0, 0, fmt.Errorf("look for %s: %w", program, err)
	}
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		name, err := os.ReadFile(filepath.Join(proc, e.Name(), "comm"))
		if err != nil || strings.TrimSpace(string(name)) != program {
			continue // or it has ended
		}
		line, err := os.ReadFile(filepath.Join(proc, e.Name(), "cmdline"))
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(line) == 0 {
			continue
		}
		if err != nil {
			return 0, 0, fmt.Errorf("look at %s: %w", program, err)
		}
		port, err := portIn(line)
		return n, port, err
	}
	return 0, 0, nil
}

// portIn reads the port of a command line, whose words end in NULs.
func portIn(line []byte) (int, error) {
	var words []string
	for w := range bytes.SplitSeq(bytes.TrimRight(line, "\x00"), []byte{0}) {
		words = append(words, string(w))
	}
	text := ""
	for i := 1; i < len(words); i++ {
		w := words[i]
		switch {
		case (w == "-p" || w == "--port") && i+1 < len(words):
			text = words[i+1]
			i++
		case strings.HasPrefix(w, "--port="):
			text = strings.TrimPrefix(w, "--port=")
		case strings.HasPrefix(w, "-p"):
			text = strings.TrimPrefix(w, "-p")
		}
	}
	if text == "" {
		return defaultPort, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("look at %s: %q is no port", program, text)
	}
	return n, nil
}

// Port is where it listens; 0 if it does not run.
func (d Daemon) Port(context.Context) (int, error) {
	_, port, err := d.find()
	return port, err
}

// Start starts it, and returns when it is at the kernel's service: it goes into
// the background then. Under systemd it is a unit of its own, or it would end
// with ours.
func (d Daemon) Start(ctx context.Context, port int) error {
	run := d.Run
	if run == nil {
		run = host.Run
	}
	name, args := program, []string{"-p", strconv.Itoa(port)}
	if _, err := os.Stat(or(d.Systemd, "/run/systemd/system")); err == nil {
		args = append([]string{"--quiet", "--collect", "--unit=" + unit, "--property=Type=forking", "--description=iSCSI for SCST, started by ESOS", program}, args...)
		name = "systemd-run"
	}
	if err := run(ctx, "", name, args...); err != nil {
		return fmt.Errorf("start %s: %w (is SCST in this image, and its module iscsi-scst loaded? has another program the port?)", program, err)
	}
	for end := time.Now().Add(patience); ; {
		pid, _, err := d.find()
		if err != nil {
			return err
		}
		if pid != 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("start %s: it ended again; its messages are in the system's log", program)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w", program, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends it, and with it all iSCSI targets of SCST.
func (d Daemon) Stop(context.Context) error {
	pid, _, err := d.find()
	if err != nil || pid == 0 {
		return err
	}
	if err := host.Terminate(pid, patience); err != nil {
		return fmt.Errorf("stop %s: %w", program, err)
	}
	return nil
}
