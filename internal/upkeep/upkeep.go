// Package upkeep does what an array needs from time to time, by itself: checks
// of RAID arrays, telling disks of unused space, snapshots, looks at how disks
// are. It knows when each job was done last, over reboots, and never does two
// at once that keep all disks busy.
package upkeep

import (
	"context"
	"io/fs"
	"log/slog"
	"time"
)

// Job is work that comes again.
type Job struct {
	// Name is unique and stays the same over restarts, like check/array/r6: when
	// it was done last is kept under it.
	Name string
	// Kind is what jobs have in common of which one is done at a time; Name if
	// it is empty.
	Kind string
	// Heavy says that it keeps disks busy for long: one such job is done at a
	// time, of whatever kind.
	Heavy bool
	// Next says when the job is due, if it was begun last (or, if it never was,
	// first heard of) at last. The zero time is never. See Every, Daily, Weekly
	// and Monthly.
	Next func(now, last time.Time) time.Time
	// Retry is how long after a failure it is tried again, if it is not due
	// before: a quarter of an hour if 0.
	Retry time.Duration
	// Do does it. It ends soon when ctx does; it is begun again after the next
	// start then, as if it had never been begun.
	Do func(ctx context.Context) error
}

// Source tells which jobs there are now: the document in force says so.
type Source interface {
	Jobs() []Job
}

// Sources are several.
type Sources []Source

// Jobs are those of all of them.
func (s Sources) Jobs() []Job {
	var all []Job
	for _, one := range s {
		all = append(all, one.Jobs()...)
	}
	return all
}

// Files keeps when jobs were done (host.Linux).
type Files interface {
	ReadFile(path string) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
}

// Options are what a Keeper is made of.
type Options struct {
	Source Source
	Files  Files
	// Path is the file where it is kept when jobs were done.
	Path string
	// Ended hears how each job went, unless it was cut off; it may be nil.
	Ended func(name string, err error)
	Log   *slog.Logger
}

// State is how a job is.
type State struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind,omitempty"`
	Running bool      `json:"running"`
	Last    time.Time `json:"last,omitzero"`     // when it was begun last
	Seconds int64     `json:"seconds,omitempty"` // that it took
	Error   string    `json:"error,omitempty"`   // how that ended
	Next    time.Time `json:"next,omitzero"`     // when it is due; others may be before it
}
