package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/smart"
	"github.com/esos-project/esos/internal/upkeep"
)

// Files of the data directory that upkeep has.
const (
	upkeepFile = "upkeep.json" // when each job was done last
	healthFile = "smart.json"  // how disks were at the last look
)

// keepUp does what the array needs from time to time, until ctx ends. On a
// machine that is not ESOS's own that is nobody's business but its own.
func keepUp(ctx context.Context, o Options, app *appliance.Appliance, board *alert.Board, health *smart.Book) error {
	if !o.InMemory {
		return nil
	}
	jobs := upkeep.Sources{
		&diskHealth{book: health, file: filepath.Join(o.DataDir, healthFile)},
		arrayChecks{app},
		fileSystemTrims{app},
		scheduledSnapshots{app},
	}
	return upkeep.New(upkeep.Options{Source: jobs, Files: host.Linux{}, Path: filepath.Join(o.DataDir, upkeepFile), Log: o.Log,
		Ended: func(name string, err error) { toldOfUpkeep(board, name, err) }}).Run(ctx)
}

// toldOfUpkeep raises an alert for a job that fails, and clears it when it went
// well.
func toldOfUpkeep(board *alert.Board, name string, err error) {
	id := "upkeep.failed." + name
	if err == nil {
		board.Clear(id, "upkeep.ok", name+" went well again")
		return
	}
	board.Raise(alert.Alert{ID: id, Severity: alert.Warning, Object: "upkeep/" + name,
		Message: fmt.Sprintf("%s, which is to be done from time to time, failed: %v. It is tried again by itself", name, err)})
}

// newHealth is how disks were at the last look, as far as that is known.
func newHealth(o Options) *smart.Book {
	book := &smart.Book{}
	if err := book.Load(host.Linux{}, filepath.Join(o.DataDir, healthFile)); err != nil {
		o.Log.Warn("what disks counted before is not known", "err", err)
	}
	return book
}

// diskHealth looks at how disks are: at once after a start, and every hour.
type diskHealth struct {
	book   *smart.Book
	file   string
	looked atomic.Bool
}

// Jobs implements upkeep.Source.
func (d *diskHealth) Jobs() []upkeep.Job {
	hourly := upkeep.Every(time.Hour)
	return []upkeep.Job{{
		Name: "smart",
		Next: func(now, last time.Time) time.Time {
			if !d.looked.Load() {
				return now
			}
			return hourly(now, last)
		},
		Do: func(ctx context.Context) error {
			d.looked.Store(true) // a failure is tried again in its own time
			if err := d.book.Look(ctx, host.Linux{}); err != nil {
				return err
			}
			return d.book.Store(host.Linux{}, d.file)
		},
	}}
}
