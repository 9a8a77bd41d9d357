package host

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFATUUID(t *testing.T) {
	sector := make([]byte, 512)
	path := filepath.Join(t.TempDir(), "fat")
	read := func() (string, error) {
		t.Helper()
		if err := os.WriteFile(path, sector, 0o600); err != nil {
			t.Fatal(err)
		}
		return FATUUID(path)
	}
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "no FAT32") {
		t.Errorf("zeros: %v", err)
	}
	sector[510], sector[511] = 0x55, 0xaa
	copy(sector[82:], "FAT32   ")
	binary.LittleEndian.PutUint32(sector[67:], 0xabcd0123)
	if got, err := read(); err != nil || got != "ABCD-0123" {
		t.Errorf("UUID %q, %v", got, err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if _, err := FATUUID(path); err == nil {
		t.Error("half a sector has a UUID")
	}
}

func TestReadOnlyAt(t *testing.T) {
	const info = `22 1 8:3 / /run/esos/medium/a\040b ro,nosuid - ext4 /dev/sda3 ro
23 1 8:4 / /run/esos/medium/conf rw - ext4 /dev/sda4 rw
24 1 8:5 / /bound ro,relatime - ext4 /dev/sda5 rw,errors=remount-ro
25 1 8:6
`
	for number, want := range map[string]string{"8:3": "/run/esos/medium/a b", "8:4": "", "8:5": "", "8:6": "", "8:7": ""} {
		if got := readOnlyAt([]byte(info), number); got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
}

func TestCrashKernelState(t *testing.T) {
	sys := t.TempDir()
	if _, err := CrashKernelState(sys); err == nil {
		t.Error("a kernel without crash kernels has one")
	}
	if err := os.Mkdir(filepath.Join(sys, "kernel"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"kexec_crash_size": "134217728\n", "kexec_crash_loaded": "1\n"} {
		if err := os.WriteFile(filepath.Join(sys, "kernel", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := CrashKernelState(sys); err != nil || got != (CrashKernel{128 << 20, true}) {
		t.Errorf("%+v, %v", got, err)
	}
}
