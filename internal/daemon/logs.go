package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/logs"
)

// LogsNotArchived is the alert of logs that are in memory only, though it is
// time that they were not.
const LogsNotArchived = "logs.not_archived"

// archivedLogs is the rule about the logs' archives. It reads what `esos logs
// archive` leaves.
type archivedLogs struct{ state string }

func newArchivedLogs(o Options) archivedLogs {
	return archivedLogs{filepath.Join(o.RunDir, filepath.Base(logs.StatePath))}
}

// Check implements alert.Rule.
func (r archivedLogs) Check(_ context.Context, b *alert.Board) error {
	s, err := logs.ReadState(r.state)
	if err != nil {
		return err
	}
	if s.Error == "" {
		b.Clear(LogsNotArchived, "logs.archived", "the logs are archived again")
		return nil
	}
	text := fmt.Sprintf("the logs are not archived since %s: %s. The newest stay in memory, older ones are dropped as they grow; it is tried again, and 'esos logs archive' tries at once",
		s.Since.UTC().Format(time.DateTime+" UTC"), s.Error)
	if n := len(s.Dropped); n > 0 {
		text += fmt.Sprintf(". The last time %d files were dropped or cut", n)
	}
	b.Raise(alert.Alert{ID: LogsNotArchived, Severity: alert.Warning, Object: "logs", Message: text})
	return nil
}
