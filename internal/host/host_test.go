package host

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestImageFiles(t *testing.T) {
	ctx, f := t.Context(), Files{}
	path := filepath.Join(t.TempDir(), "devices", "disk.img")
	if _, err := f.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of nothing: %v", err)
	}
	ok(t, f.Create(ctx, path, 1<<30, false, nil))
	fi, err := f.Stat(path)
	ok(t, err)
	if fi.Size != 1<<30 || fi.Allocated != 0 || fi.Block {
		t.Errorf("thin file: %+v", fi)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want it private", st.Mode(), err)
	}
	if err := f.Create(ctx, path, 4096, false, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a file: %v", err)
	}
	ok(t, f.Grow(ctx, path, 2<<30, false, nil))
	ok(t, f.Grow(ctx, path, 1<<20, false, nil)) // never smaller
	if fi, err = f.Stat(path); err != nil || fi.Size != 2<<30 {
		t.Errorf("after growth: %+v, %v", fi, err)
	}
	ok(t, f.Remove(path))
	ok(t, f.Remove(path))
	if err := f.Grow(ctx, path, 1, false, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Grow of nothing: %v", err)
	}
	if err := f.Remove(filepath.Dir(path)); err == nil {
		t.Error("a directory was removed")
	}
}

func TestThickFilesTakeTheirSpace(t *testing.T) {
	f := Files{}
	path := filepath.Join(t.TempDir(), "thick.img")
	var told []int64
	ok(t, f.Create(t.Context(), path, 3<<20, true, func(done int64) { told = append(told, done) }))
	fi, err := f.Stat(path)
	ok(t, err)
	if fi.Size != 3<<20 || fi.Allocated < 3<<20 {
		t.Errorf("thick file: %+v", fi)
	}
	if len(told) == 0 || told[len(told)-1] != 3<<20 {
		t.Errorf("progress: %v", told)
	}
	ok(t, f.Grow(t.Context(), path, 5<<20, true, nil))
	if fi, err = f.Stat(path); err != nil || fi.Allocated < 5<<20 {
		t.Errorf("grown thick file: %+v, %v", fi, err)
	}
	// A cancelled creation leaves nothing behind.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := filepath.Join(t.TempDir(), "cancelled.img")
	if err := f.Create(ctx, other, 1<<20, true, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := f.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cancelled creation left %v", err)
	}
	// One that there is no room for neither.
	if err := f.Create(t.Context(), other, 1<<60, true, nil); err == nil {
		t.Error("an exbibyte was had")
	}
	if _, err := f.Stat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed creation left %v", err)
	}
}

func TestImageIsServedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	ok(t, os.WriteFile(path, make([]byte, 4096), 0o600))
	a, err := OpenImage(path, Access{})
	ok(t, err)
	if _, err := OpenImage(path, Access{ReadOnly: true}); err == nil {
		t.Error("a file that is served for writing was opened again")
	}
	// Whoever has it now may be on the way out.
	time.AfterFunc(100*time.Millisecond, func() { a.Close() })
	b, err := OpenImage(path, Access{ReadOnly: true})
	ok(t, err)
	defer b.Close()
	c, err := OpenImage(path, Access{ReadOnly: true})
	ok(t, err)
	defer c.Close()
	if _, err := b.WriteAt([]byte("x"), 0); err == nil {
		t.Error("a read-only file was written")
	}
}

func TestOpenRefusesWhatItIsNotFor(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	pipe := filepath.Join(dir, "pipe")
	ok(t, unix.Mkfifo(pipe, 0o600))
	for name, open := range map[string]func() (*os.File, error){
		"a directory as an image":       func() (*os.File, error) { return OpenImage(dir, Access{ReadOnly: true}) },
		"a missing image":               func() (*os.File, error) { return OpenImage(file+"2", Access{}) },
		"a file as a block device":      func() (*os.File, error) { return OpenBlock(file, Access{}) },
		"a character device as a block": func() (*os.File, error) { return OpenBlock("/dev/null", Access{}) },
		"a pipe as a medium":            func() (*os.File, error) { return OpenMedium(pipe) },
		"a terminal as a medium":        func() (*os.File, error) { return OpenMedium("/dev/null") },
		"a directory as a medium":       func() (*os.File, error) { return OpenMedium(dir) },
	} {
		f, err := open()
		if err == nil {
			f.Close()
			t.Errorf("%s was opened", name)
		}
	}
	if _, err := (Files{}).Stat(pipe); err == nil {
		t.Error("a pipe passed for a file")
	}
}

func TestMountedAt(t *testing.T) {
	const info = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 27 8:17 / /mnt/two\040words rw - xfs /dev/sdb1 rw
short`
	for number, want := range map[string]string{"254:0": "/", "8:17": "/mnt/two words", "8:1": "", "": ""} {
		if got := mountedAt([]byte(info), number); got != want {
			t.Errorf("%s is mounted at %q, want %q", number, got, want)
		}
	}
	const swaps = "Filename\tType\t\tSize\n/dev/sda3   partition\t1000\n"
	if !swapsOn([]byte(swaps), "sda3") || swapsOn([]byte(swaps), "sda") {
		t.Error("swap space is not found, or where it is not")
	}
}

func TestListen(t *testing.T) {
	f, err := ListenTCP(t.Context(), "127.0.0.1:0")
	ok(t, err)
	l, err := net.FileListener(f)
	ok(t, err)
	f.Close()
	defer l.Close()
	_, err = ListenTCP(t.Context(), l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a taken port: %v", err)
	}
	if _, err = ListenTCP(t.Context(), "192.0.2.1:0"); err == nil || !strings.Contains(err.Error(), "no such address") {
		t.Errorf("another's address: %v", err)
	}

	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second replaces the first
		s, err := ListenUnix(path)
		ok(t, err)
		st, err := os.Stat(path)
		ok(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("the socket's mode is %v", st.Mode())
		}
		c, err := net.Dial("unix", path)
		ok(t, err)
		c.Close()
		s.Close()
	}
	if _, err := ListenUnix(filepath.Join(t.TempDir(), strings.Repeat("x", 120))); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a path that is too long: %v", err)
	}
}

func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	ok(t, err)
	defer out.Close()
	// It does not hear SIGTERM.
	p, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", `trap "" TERM; echo "$SECRET"; while :; do sleep 0.05; done`}, Stderr: out})
	ok(t, err)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if st, err := out.Stat(); err == nil && st.Size() > 0 { // now the trap is set
			break
		}
	}
	if !Runs(p.PID, "/bin/sh") || Runs(p.PID, "/bin/bash2") {
		t.Error("Runs takes one program for another")
	}
	if sid, err := unix.Getsid(p.PID); err != nil || sid != p.PID {
		t.Errorf("session %d (%v), want one of its own", sid, err)
	}
	begun := time.Now()
	ok(t, Terminate(p.PID, 50*time.Millisecond))
	<-p.Done()
	if !p.Ended() || p.Err() == nil || time.Since(begun) > 3*time.Second {
		t.Errorf("ended %v with %v after %v", p.Ended(), p.Err(), time.Since(begun))
	}
	ok(t, Terminate(p.PID, time.Second))
	if _, err := Start(Command{Path: filepath.Join(dir, "none"), Stderr: out}); err == nil {
		t.Error("a missing program was started")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	a, err := LockFile(path)
	ok(t, err)
	if _, err := LockFile(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	a.Close()
	b, err := LockFile(path)
	ok(t, err)
	b.Close()
}
