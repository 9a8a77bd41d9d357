package vm

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// writingSector writes itself to the second sector of the disk and prints w,
// or e if that failed.
func writingSector() []byte {
	return bootDisk([]byte{
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xc0, // mov es, ax
		0xbb, 0x00, 0x7c, // mov bx, 0x7c00 (this sector)
		0xb8, 0x01, 0x03, // mov ax, 0x0301 (write one)
		0xb9, 0x02, 0x00, // mov cx, 2 (the second)
		0xba, 0x80, 0x00, // mov dx, 0x80 (of the first disk)
		0xcd, 0x13, // int 0x13
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0xb0, 'w', // mov al, 'w'
		0x73, 0x02, // jnc to out
		0xb0, 'e', // mov al, 'e'
		0xee,       // out dx, al
		0xf4,       // hlt
		0xeb, 0xfd, // jmp to hlt
	})
}

// TestWriteLog: what a guest writes is in the log, on each bus, and in the
// disk's file as well.
func TestWriteLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, bus := range Buses() {
		dir, err := os.MkdirTemp("", "esos-vm-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		d := Drive{File: filepath.Join(dir, "a,disk"), WriteLog: filepath.Join(dir, "a,log"), Bus: bus}
		before := writingSector()
		if err := os.WriteFile(d.File, before, 0o600); err != nil {
			t.Fatal(err)
		}
		// An old log is no part of the new one.
		if err := os.WriteFile(d.WriteLog, bytes.Repeat([]byte("old"), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Start(ctx, Config{Name: "log", Dir: dir, Memory: 64, Accel: TCG, Machine: "q35", Drives: []Drive{d}})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WaitFor(ctx, "w"); err != nil {
			t.Errorf("%s: %v", bus, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		log, err := os.ReadFile(d.WriteLog)
		if err != nil {
			t.Fatal(err)
		}
		disk, err := os.ReadFile(d.File)
		if err != nil {
			t.Fatal(err)
		}
		// A sector for what describes the log, one that describes the write to
		// sector 1, and what was written.
		if len(log) != 3*512 || binary.LittleEndian.Uint64(log[512:]) != 1 || binary.LittleEndian.Uint64(log[520:]) != 1 || !bytes.Equal(log[1024:], before[:512]) {
			t.Errorf("%s: a log of %d bytes: %.40x", bus, len(log), log)
		}
		if !bytes.Equal(disk[512:1024], before[:512]) {
			t.Errorf("%s: the disk has not what was written", bus)
		}
	}
	for _, d := range []Drive{{Snapshot: true}, {ReadOnly: true}, {CDROM: true}} {
		d.File, d.WriteLog = "x", filepath.Join(t.TempDir(), "log")
		if _, err := Start(ctx, Config{Dir: t.TempDir(), Accel: TCG, Drives: []Drive{d}}); err == nil {
			t.Errorf("the writes to %+v were to be logged", d)
		}
	}
}
