package crash

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/logs"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestLogs: what was logged before a reboot is there after it, what grows is
// archived and its memory given back, and the oldest archives make room.
func TestLogs(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	m := start(ctx, t, 2048)
	m.Run(ctx, "logger esos-test: before the reboot")
	m.Console().Forget()
	_, _ = m.Remote.Run(ctx, "systemctl reboot") // the connection ends before the command does
	if err := m.WaitFor(ctx, "Linux version "); err != nil {
		t.Fatal(err)
	}
	m.Served(ctx)
	var list []logs.Archive
	if m.Into(ctx, &list, "esos logs list -o json"); len(list) != 1 {
		t.Fatalf("archives after a reboot: %+v", list)
	}
	text := m.Run(ctx, "esos logs export latest - | tar --zstd -xO")
	for _, want := range []string{"esos-test: before the reboot", "Linux version ", "Stopp"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the archive of %d bytes", want, len(text))
		}
	}

	// Too much of it.
	m.Run(ctx, "base64 /dev/urandom | head -c 60000000 >/var/log/large.log; systemctl start esos-logs-archive.service")
	if m.Into(ctx, &list, "esos logs list -o json"); len(list) != 2 || list[1].Size < 30<<20 {
		t.Errorf("archives of large logs: %+v", list)
	}
	if out := m.Run(ctx, "stat -c %s /var/log/large.log"); out != "0\n" {
		t.Errorf("the log still takes memory: %s bytes", out)
	}
	m.Run(ctx, "systemctl start esos-logs-archive.service")
	if m.Into(ctx, &list, "esos logs list -o json"); len(list) != 2 {
		t.Errorf("archived though there is nothing to: %+v", list)
	}

	// The stick is pulled: an alert, and the memory does not fill.
	if err := m.Unplug(ctx, 0); err != nil {
		t.Fatal(err)
	}
	m.Until(ctx, "esos medium status || echo away", "away")
	m.Run(ctx, "base64 /dev/urandom | head -c 60000000 >/var/log/large.log; systemctl start esos-logs-archive.service || true")
	m.Until(ctx, "esos alert list", "logs.not_archived")
	if out := m.Run(ctx, "du -sm /var/log | cut -f1"); len(strings.TrimSpace(out)) > 2 || strings.TrimSpace(out) > "50" && len(strings.TrimSpace(out)) == 2 {
		t.Errorf("%s MiB of logs in memory without a medium", strings.TrimSpace(out))
	}
}
