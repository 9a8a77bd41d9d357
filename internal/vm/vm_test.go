package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// helloSector prints "hello" on the first serial port and waits for its end.
func helloSector() []byte {
	code := []byte{
		0xfc,       // cld
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xbe, 0x15, 0x7c, // mov si, 0x7c15 (the text)
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xac,       // lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x03, // jz to hlt
		0xee,       // out dx, al
		0xeb, 0xf8, // jmp to lodsb
		0xf4, // hlt
		0xeb, // (0xfd) jmp to hlt; the text follows
	}
	code = append(code, 0xfd)
	code[6] = byte(len(code)) // the text is right behind the code
	return bootDisk(append(code, "hello\n\x00"...))
}

func startSector(t *testing.T) *Machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "esos-vm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, helloSector(), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Start(context.Background(), Config{
		Name: "hello", Dir: dir, Memory: 64, Accel: TCG, Drives: []Drive{{File: disk, Snapshot: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestMachine(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := startSector(t)
	if err := m.WaitFor(ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	// What never comes is told with what came instead.
	short, cancelShort := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancelShort()
	err := m.WaitFor(short, "goodbye")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hello") {
		t.Errorf("wait for what is never printed: %v", err)
	}
	sh, err := m.Shell(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer sh.Close()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitFor(ctx, "goodbye"); !errors.Is(err, ErrEnded) {
		t.Errorf("wait on an ended machine: %v, want ErrEnded", err)
	}
	if err := m.Wait(ctx); err == nil {
		t.Error("a killed machine ended without an error")
	}
	logged, err := os.ReadFile(filepath.Join(m.dir, "hello.console"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(logged), "hello") {
		t.Errorf("console file holds %q", logged)
	}
}

func TestStartRefusesWhatQEMURefuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m, err := Start(ctx, Config{Dir: t.TempDir(), Memory: 64, Accel: TCG, Args: []string{"-no-such-option"}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Wait(ctx); err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("QEMU's complaint is not told: %v", err)
	}
}

func TestProbe(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	accel, err := Probe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if accel != KVM && accel != TCG {
		t.Errorf("Probe: %q", accel)
	}
	// The probe's guest itself works: translated, it runs everywhere.
	if ok, err := runs(ctx, TCG); err != nil || !ok {
		t.Errorf("the probe's guest with %s: %t, %v", TCG, ok, err)
	}
}

func TestParseAnswer(t *testing.T) {
	tests := []struct {
		line   string
		out    string
		status int
		bad    bool
	}{
		{line: "7 0 aGVsbG8K\n", out: "hello\n"},
		{line: "7 3\n", status: 3},
		{line: "7 0 \n"},
		{line: "6 0 aGVsbG8K\n", bad: true},
		{line: "7 x aGVsbG8K\n", bad: true},
		{line: "7 0 ===\n", bad: true},
		{line: "\n", bad: true},
	}
	for _, test := range tests {
		out, status, err := parseAnswer(test.line, 7)
		if (err != nil) != test.bad || out != test.out || status != test.status {
			t.Errorf("parseAnswer(%q) = %q, %d, %v", test.line, out, status, err)
		}
	}
}

func TestConsoleKeepsTheEnd(t *testing.T) {
	c := newConsole(nil)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 3 * consoleLimit / len(line) {
		if _, err := c.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte("the end\r\n")); err != nil {
		t.Fatal(err)
	}
	if n := len(c.String()); n > 2*consoleLimit {
		t.Errorf("%d bytes are kept, want at most %d", n, 2*consoleLimit)
	}
	if got := c.Tail(1); got != "the end" {
		t.Errorf("Tail(1) = %q", got)
	}
}
