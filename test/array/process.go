package array

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// targetName is the name of esos-target's processes.
const targetName = "esos-target"

// targetsOf lists the esos-target processes that a daemon started.
func targetsOf(daemon int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if name, parent := processStat(pid); name == targetName && parent == daemon {
			pids = append(pids, pid)
		}
	}
	return pids
}

func processName(pid int) string {
	name, _ := processStat(pid)
	return name
}

// processStat reads a process's name and parent; proc(5): pid (comm) state ppid.
// A zombie has ended and has no name here.
func processStat(pid int) (name string, parent int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	s := string(b)
	open, shut := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || shut < open {
		return "", 0
	}
	f := strings.Fields(s[shut+1:])
	if len(f) < 2 || f[0] == "Z" || f[0] == "X" {
		return "", 0
	}
	parent, err = strconv.Atoi(f[1])
	if err != nil {
		return "", 0
	}
	return s[open+1 : shut], parent
}

// ResidentMemory returns how many bytes of memory a process has, and the most
// it ever had.
func ResidentMemory(pid int) (now, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		switch f[0] {
		case "VmRSS:":
			now = n << 10
		case "VmHWM:":
			peak = n << 10
		}
	}
	if now == 0 {
		return 0, 0, fmt.Errorf("memory of process %d: not told", pid)
	}
	return now, peak, nil
}
