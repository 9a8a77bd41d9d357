package array

import (
	"os"
	"testing"
)

func TestProcessStat(t *testing.T) {
	name, parent := processStat(os.Getpid())
	if name == "" || parent != os.Getppid() {
		t.Errorf("this process is %q, child of %d, want a name and %d", name, parent, os.Getppid())
	}
	if name, _ := processStat(1 << 30); name != "" {
		t.Errorf("a process that is not there is %q", name)
	}
}

func TestResidentMemory(t *testing.T) {
	now, peak, err := ResidentMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if now < 1<<20 || peak < now {
		t.Errorf("resident %d, peak %d", now, peak)
	}
}
