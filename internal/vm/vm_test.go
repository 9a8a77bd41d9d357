package vm

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
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

// echoSector sends back what it receives on the first serial port.
func echoSector() []byte {
	return bootDisk([]byte{
		0xba, 0xfd, 0x03, // mov dx, 0x3fd (line status)
		0xec,       // in al, dx
		0xa8, 0x01, // test al, 1 (data ready)
		0x74, 0xf8, // jz to the start
		0xb2, 0xf8, // mov dl, 0xf8 (data)
		0xec,       // in al, dx
		0xee,       // out dx, al
		0xeb, 0xf2, // jmp to the start
	})
}

// startDisk starts a machine whose first drive has the given contents.
func startDisk(t *testing.T, contents []byte, c Config) *Machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "esos-vm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, contents, 0o600); err != nil {
		t.Fatal(err)
	}
	if len(c.Drives) == 0 {
		c.Drives = make([]Drive, 1)
	}
	for i := range c.Drives {
		c.Drives[i].File, c.Drives[i].Snapshot = disk, true
	}
	c.Name, c.Dir, c.Memory, c.Accel = "hello", dir, 64, TCG
	m, err := Start(context.Background(), c)
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
	m := startDisk(t, helloSector(), Config{})
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

// TestBuses boots from a drive on each.
func TestBuses(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, bus := range Buses() {
		for _, board := range []string{"pc", "q35"} {
			m := startDisk(t, helloSector(), Config{Machine: board, Drives: []Drive{{Bus: bus, Serial: "S1"}}})
			if err := m.WaitFor(ctx, "hello"); err != nil {
				t.Errorf("%s on %s: %v", bus, board, err)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := Start(ctx, Config{Dir: t.TempDir(), Accel: TCG, Drives: []Drive{{File: "x", Bus: "floppy"}}}); err == nil || !strings.Contains(err.Error(), "floppy") {
		t.Errorf("an unknown bus: %v", err)
	}
}

func TestType(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := startDisk(t, echoSector(), Config{})
	// What is typed while the firmware runs may be lost.
	for m.Console().String() == "" {
		if err := m.Type("x"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			t.Fatal("no echo")
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := m.Type("typed by hand"); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitFor(ctx, "typed by hand"); err != nil {
		t.Fatal(err)
	}
}

// TestMonitor pulls a stick, resets the machine, and is told what QEMU refuses.
func TestMonitor(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := startDisk(t, helloSector(), Config{Reboots: true, Drives: []Drive{{}, {Bus: USB}}})
	if err := m.Unplug(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := m.Unplug(ctx, 1); err == nil || !strings.Contains(err.Error(), "disk1") {
		t.Errorf("unplug what is gone: %v", err)
	}
	if err := m.WaitFor(ctx, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := m.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	for strings.Count(m.Console().String(), "hello") < 2 {
		select {
		case <-ctx.Done():
			t.Fatalf("no second boot after a reset: %q", m.Console())
		case <-time.After(20 * time.Millisecond):
		}
	}
	short, cancelShort := context.WithCancel(ctx)
	cancelShort()
	if _, err := m.Do(short, "query-status", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a command of an ended context: %v", err)
	}
	answer, err := m.Do(ctx, "query-status", nil)
	if err != nil || !strings.Contains(string(answer), `"running"`) {
		t.Errorf("status after a broken command: %s, %v", answer, err)
	}
}

func TestForwards(t *testing.T) {
	m := startDisk(t, helloSector(), Config{Network: true, Forwards: []Forward{{Guest: 22}, {Guest: 3260}}})
	ssh, iscsi := m.Address(22), m.Address(3260)
	if !strings.HasPrefix(ssh, "127.0.0.1:") || !strings.HasPrefix(iscsi, "127.0.0.1:") || ssh == iscsi || strings.HasSuffix(ssh, ":0") {
		t.Errorf("ports 22 and 3260 are at %q and %q", ssh, iscsi)
	}
	if got := m.Address(80); got != "" {
		t.Errorf("port 80, which is not forwarded, is at %q", got)
	}
	l, err := net.Listen("tcp", ssh)
	if err == nil {
		_ = l.Close()
		t.Errorf("nobody listens on %s", ssh)
	}
	_, port, err := net.SplitHostPort(iscsi)
	if err != nil {
		t.Fatal(err)
	}
	taken, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	// QEMU itself says when a port is somebody else's.
	_, err = Start(context.Background(), Config{Name: "second", Dir: m.dir, Accel: TCG, Network: true,
		Forwards: []Forward{{Host: taken, Guest: 22}, {Guest: 23}}})
	if err == nil || !strings.Contains(err.Error(), port) {
		t.Errorf("a port that is taken: %v", err)
	}
	if _, err := Start(context.Background(), Config{Dir: m.dir, Accel: TCG, Forwards: []Forward{{Guest: 22}}}); err == nil {
		t.Error("ports of a machine without network were forwarded")
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
