package home

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
)

// seen is what was read last.
type seen struct {
	read     bool
	status   v1.Status
	document *config.Document
	revision int // of document
	sessions []session
	before   map[string]counted
	traffic  traffic

	storage     v1.StorageState
	fileSystems []v1.FileSystemState
	storageRead bool
	storageErr  error

	medium    medium
	mediumErr error
}

// medium is what `esos sync --last` says.
type medium struct {
	Slot    string `json:"slot"`
	Version string `json:"version"`
	Last    struct {
		When       time.Time `json:"when"`
		Generation int       `json:"generation"`
		Error      string    `json:"error"`
	} `json:"last"`
}

// How often what costs more is read.
const (
	storageEvery = 15 * time.Second
	mediumEvery  = time.Minute
	// ease is how many times as long as it took a reading waits for the next one:
	// large arrays are looked at less often, not harder.
	ease = 20
)

// look is one reading of what changes all the time.
type look struct {
	status   v1.Status
	document *config.Document // nil if it is the one that is known
	sessions []engine.Session
	at       time.Time
	took     time.Duration
}

// Tick reads what is shown.
func (h *Home) Tick() {
	now := h.desk.Now()
	if !h.readingMedium && !now.Before(h.nextMedium) {
		h.readMedium()
	}
	if h.desk.Lost() {
		return
	}
	if !h.reading && !now.Before(h.next) {
		h.readStatus()
	}
	if !h.readingStorage && !now.Before(h.nextStorage) {
		h.readStorage()
	}
}

func (h *Home) readStatus() {
	h.reading = true
	known := h.seen.revision
	frame.Refresh(h.desk, func(ctx context.Context) (l look, err error) {
		begun := time.Now()
		if l.status, err = h.desk.Client().Status(ctx); err != nil {
			return l, err
		}
		if l.sessions, err = h.desk.Client().Sessions(ctx); err != nil {
			return l, err
		}
		l.at = time.Now()
		if known == 0 || l.status.Revision.Number != known {
			if l.document, err = h.desk.Document(ctx); err != nil {
				return l, err
			}
		}
		l.took = time.Since(begun)
		return l, nil
	}, func(l look, err error) {
		h.reading = false
		if err != nil {
			return // the line at the top says so; what was read stays
		}
		h.next = h.desk.Now().Add(l.took * ease)
		h.seen.read, h.seen.status = true, l.status
		if l.document != nil {
			h.seen.document, h.seen.revision = l.document, l.status.Revision.Number
		}
		h.seen.count(l.sessions, l.at)
	})
}

func (h *Home) readStorage() {
	h.readingStorage = true
	type both struct {
		storage v1.StorageState
		files   []v1.FileSystemState
	}
	frame.Refresh(h.desk, func(ctx context.Context) (b both, err error) {
		if b.storage, err = h.desk.Client().Storage(ctx); err == nil {
			b.files, err = h.desk.Client().FileSystems(ctx)
		}
		return b, err
	}, func(b both, err error) {
		h.readingStorage, h.nextStorage = false, h.desk.Now().Add(storageEvery)
		h.seen.storageErr = err
		if err == nil {
			h.seen.storage, h.seen.fileSystems, h.seen.storageRead = b.storage, b.files, true
		}
	})
}

func (h *Home) readMedium() {
	h.readingMedium = true
	frame.Refresh(h.desk, func(ctx context.Context) (m medium, err error) {
		text, err := h.desk.CommandOutput(ctx, "sync", "--last", "-o", "json")
		if err == nil {
			err = json.Unmarshal([]byte(text), &m)
		}
		return m, err
	}, func(m medium, err error) {
		h.readingMedium, h.nextMedium = false, h.desk.Now().Add(mediumEvery)
		h.seen.medium, h.seen.mediumErr = m, err
	})
}

// noMedium says whether this is no machine that runs from a medium.
func (s *seen) noMedium() bool {
	var failed *frame.CommandError
	const notFound = 8
	return errors.As(s.mediumErr, &failed) && failed.Code == notFound
}
