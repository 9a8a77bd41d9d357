package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func cpus() int { return runtime.NumCPU() }

// freePort returns a loopback port that nobody listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// disk is what is to be served.
type disk struct {
	size   int64
	path   string // of the file; empty: ESOS chooses
	direct bool   // past the page cache
}

// startESOS serves a thin file through esos serve and esos-target.
func startESOS(ctx context.Context, dir string, d disk) (*target, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	t := &target{name: "esos", addr: fmt.Sprintf("127.0.0.1:%d", port), iqn: "iqn.2026-11.org.esos-project:bench"}
	doc := fmt.Sprintf(`version: 1
name: bench
iscsi:
  portals: [{name: main, address: "%s"}]
devices:
  - {name: bench, handler: vdisk_fileio, path: %s, size: %d, o_direct: %t}
targets:
  - name: %s
    luns: [{lun: 0, device: bench}]
`, t.addr, cmp.Or(d.path, "bench.img"), d.size, d.direct, t.iqn)
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte(doc), 0o600); err != nil {
		return nil, err
	}
	var log bytes.Buffer
	cmd := exec.Command("bin/esos", "serve", "--data-dir", filepath.Join(dir, "data"), "--config", file)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start bin/esos (make build first): %w", err)
	}
	t.stop = func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() }
	if err := listening(ctx, t.addr); err != nil {
		t.stop()
		return nil, fmt.Errorf("esos serve: %w: %s", err, log.Bytes())
	}
	if t.pid, err = descendant(cmd.Process.Pid, "esos-target"); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// startTgt serves a file, an equal one if d names none, through Debian's tgtd,
// with the backing store type that is fastest for files in memory and the only
// one that goes past the page cache.
func startTgt(ctx context.Context, dir string, d disk) (*target, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	img := d.path
	if img == "" {
		img = filepath.Join(dir, "bench.img")
		if err := os.WriteFile(img, nil, 0o600); err != nil {
			return nil, err
		}
		if err := os.Truncate(img, d.size); err != nil {
			return nil, err
		}
	}
	t := &target{name: "tgt", addr: fmt.Sprintf("127.0.0.1:%d", port), iqn: "iqn.2026-11.org.esos-project:peer", lun: 1}
	control := strconv.Itoa(port % 32768) // the number of a socket in /run, not of a port; a short integer
	cmd := exec.Command("tgtd", "-f", "-C", control, "--iscsi", "portal="+t.addr)
	cmd.Stdout, cmd.Stderr = nil, nil
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start tgtd (apt install tgt): %w", err)
	}
	t.pid = cmd.Process.Pid
	t.stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	if err := listening(ctx, t.addr); err != nil {
		t.stop()
		return nil, fmt.Errorf("tgtd: %w", err)
	}
	for _, args := range [][]string{
		{"--mode", "target", "--op", "new", "--tid", "1", "-T", t.iqn},
		{"--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "--bstype", "aio", "-b", img},
		{"--mode", "target", "--op", "bind", "--tid", "1", "-I", "ALL"},
	} {
		args = append([]string{"-C", control, "--lld", "iscsi"}, args...)
		if out, err := exec.CommandContext(ctx, "tgtadm", args...).CombinedOutput(); err != nil {
			t.stop()
			return nil, fmt.Errorf("tgtadm %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return t, nil
}

// listening waits until somebody accepts connections at addr.
func listening(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody listens at %s: %w", addr, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// descendant finds the process of that name below pid.
func descendant(pid int, name string) (int, error) {
	procs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	parent, names := map[int]int{}, map[int]string{}
	for _, file := range procs {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // gone meanwhile
		}
		open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
		fields := strings.Fields(string(b[end+1:]))
		id, _ := strconv.Atoi(strings.TrimSpace(string(b[:open])))
		names[id] = string(b[open+1 : end])
		parent[id], _ = strconv.Atoi(fields[1])
	}
	for id, n := range names {
		if n != name {
			continue
		}
		for p := id; p > 1; p = parent[p] {
			if p == pid {
				return id, nil
			}
		}
	}
	return 0, fmt.Errorf("no process %s below process %d", name, pid)
}
