package guest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Load is fio on a server: four jobs write to a disk and read back what they
// wrote, with checksums. One failed or wrong I/O ends it.
type Load struct {
	server *Server
	end    time.Duration // from the start until fio should be done
}

// loadJobs is how many jobs a load has.
const loadJobs = 4

// Load begins a load on a disk, which loses its first 192 MiB.
func (s *Server) Load(t *testing.T, disk string, d time.Duration) *Load {
	t.Helper()
	s.Run(t, fmt.Sprintf(`cat >/run/load.fio <<'JOB'
[global]
filename=%s
direct=1
ioengine=libaio
iodepth=8
rw=randrw
bs=4k
size=48M
offset_increment=48M
verify=crc32c
verify_backlog=64
verify_fatal=1
time_based=1
runtime=%d
[verified]
numjobs=%d
JOB
rm -f /run/fio.status
(fio --output=/run/fio.out /run/load.fio; echo $? >/run/fio.status) >/run/fio.err 2>&1 &`, disk, int(d.Seconds()), loadJobs))
	time.Sleep(5 * time.Second)
	l := &Load{server: s, end: d}
	l.Runs(t)
	return l
}

// Runs fails the test unless the load still runs.
func (l *Load) Runs(t *testing.T) {
	t.Helper()
	if out, code := l.server.Status(t, "test -s /run/fio.status && cat /run/fio.status /run/fio.err /run/fio.out"); code == 0 {
		t.Fatalf("the load ended early:\n%s", out)
	}
}

// Wait waits until the load is done, without one error.
func (l *Load) Wait(t *testing.T) {
	t.Helper()
	l.server.Eventually(t, "the end of fio", l.end+2*time.Minute, "test -s /run/fio.status", "cat /run/fio.err")
	status, report, _ := strings.Cut(l.server.Run(t, "cat /run/fio.status /run/fio.err /run/fio.out"), "\n")
	if status != "0" || strings.Count(report, "err= 0") != loadJobs {
		t.Fatalf("fio ended with status %s:\n%s", status, report)
	}
	for line := range strings.Lines(report) {
		if f := strings.TrimSpace(line); strings.HasPrefix(f, "read:") || strings.HasPrefix(f, "write:") {
			t.Log(f)
		}
	}
}
