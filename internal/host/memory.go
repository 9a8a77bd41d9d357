package host

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory is how much a machine has, in bytes.
type Memory struct {
	Total     int64 // that the kernel can give
	Available int64 // that it could give now without taking it from anybody
}

// ReadMemory reads the size of this machine's memory.
func ReadMemory() (Memory, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return Memory{}, fmt.Errorf("read the size of memory: %w", err)
	}
	defer f.Close()
	var m Memory
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			m.Total = kib << 10
		} else if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); n == 1 {
			m.Available = kib << 10
		}
	}
	if m.Total == 0 || m.Available == 0 {
		return m, fmt.Errorf("read the size of memory: /proc/meminfo does not say it")
	}
	return m, nil
}

// MemoryFile makes a file that is nowhere but in memory, and gone when it is
// closed. name is for people who look at the process.
func MemoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
