package appliance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/engine"
)

// Event is something that happened, with its place in the order of events.
type Event struct {
	ID int64 `json:"id"` // rises by one from event to event, over restarts too
	engine.Event
}

const (
	ringSize     = 1000    // events remembered
	maxEventFile = 1 << 20 // bytes; then the file is turned over
	subscriberQ  = 256     // events that a subscriber may lag behind
)

// eventLog remembers the latest events, in memory and in a file that is turned
// over once it is large.
type eventLog struct {
	path string

	mu          sync.Mutex
	ring        []Event
	last        int64
	file        *os.File
	size        int64
	subscribers map[chan Event]struct{}
}

func openEventLog(dir string) (*eventLog, error) {
	l := &eventLog{path: filepath.Join(dir, "events.jsonl"), subscribers: map[chan Event]struct{}{}}
	for _, path := range []string{l.path + ".1", l.path} {
		if err := l.load(path); err != nil {
			return nil, fmt.Errorf("read the event log: %w", err)
		}
	}
	if err := l.openFile(); err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	return l, nil
}

func (l *eventLog) openFile() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, st.Size()
	end := []byte{'\n'}
	if l.size > 0 {
		if _, err := f.ReadAt(end, l.size-1); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if end[0] != '\n' { // a crash cut the last line: do not add to it
		_, err = f.WriteString("\n")
		l.size++
	}
	return err
}

// load reads a file's events into the ring. Lines that a crash cut are skipped.
func (l *eventLog) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxEventFile)
	for lines.Scan() {
		var e Event
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.ID > l.last {
			l.remember(e)
		}
	}
	return lines.Err()
}

func (l *eventLog) remember(e Event) {
	l.last = e.ID
	l.ring = append(l.ring, e)
	if len(l.ring) >= 2*ringSize {
		l.ring = append([]Event(nil), l.ring[len(l.ring)-ringSize:]...)
	}
}

// add gives an event its number, keeps it and hands it to the subscribers. The
// error is of the file only: the event was remembered.
func (l *eventLog) add(e engine.Event) (Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ev := Event{ID: l.last + 1, Event: e}
	l.remember(ev)
	for s := range l.subscribers {
		select {
		case s <- ev:
		default:
			delete(l.subscribers, s)
			close(s)
		}
	}
	return ev, l.write(ev)
}

func (l *eventLog) write(e Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if l.file == nil || l.size+int64(len(line)) > maxEventFile {
		if l.file != nil {
			_ = l.file.Close() // it was written already; a new one is begun
			l.file = nil
			if err := os.Rename(l.path, l.path+".1"); err != nil {
				return err
			}
		}
		if err := l.openFile(); err != nil {
			return err
		}
	}
	n, err := l.file.Write(append(line, '\n'))
	l.size += int64(n)
	return err
}

// since returns the remembered events after the one numbered id.
func (l *eventLog) since(id int64) []Event {
	var list []Event
	for _, e := range l.ring[max(0, len(l.ring)-ringSize):] {
		if e.ID > id {
			list = append(list, e)
		}
	}
	return list
}

func (l *eventLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.subscribers {
		delete(l.subscribers, s)
		close(s)
	}
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// Events returns the remembered events after the one numbered since, oldest
// first; all with 0.
func (a *Appliance) Events(_ context.Context, since int64) ([]Event, error) {
	a.events.mu.Lock()
	defer a.events.mu.Unlock()
	return a.events.since(since), nil
}

// Subscribe gives the remembered events after the one numbered since, and then
// each as it happens, until ctx ends, the appliance closes or the reader lags
// too far behind; then the channel is closed. A negative since gives new ones
// only.
func (a *Appliance) Subscribe(ctx context.Context, since int64) (<-chan Event, error) {
	l := a.events
	live := make(chan Event, subscriberQ)
	l.mu.Lock()
	var past []Event
	if since >= 0 {
		past = l.since(since)
	}
	l.subscribers[live] = struct{}{}
	l.mu.Unlock()
	out := make(chan Event)
	a.work.Go(func() {
		defer close(out)
		defer func() {
			l.mu.Lock()
			delete(l.subscribers, live)
			l.mu.Unlock()
		}()
		for _, e := range past {
			select {
			case out <- e:
			case <-ctx.Done():
				return
			case <-a.ctx.Done():
				return
			}
		}
		for {
			select {
			case e, ok := <-live:
				if !ok {
					return
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				case <-a.ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			case <-a.ctx.Done():
				return
			}
		}
	})
	return out, nil
}

// Note adds an event that happened outside the engine, like a change of the
// API's users.
func (a *Appliance) Note(e engine.Event) { a.note(e) }

// event notes something of the appliance itself.
func (a *Appliance) event(kind, object, message string) {
	a.note(engine.Event{Kind: kind, Object: object, Message: message})
}

func (a *Appliance) note(e engine.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	if _, err := a.events.add(e); err != nil {
		a.log.Warn("the event log cannot be written", slog.Any("error", err))
	}
	level := slog.LevelInfo
	switch _, what, _ := strings.Cut(e.Kind, "."); what {
	case "failed", "degraded", "damaged", "refused", "restarted", "lost", "save_failed":
		level = slog.LevelWarn
	}
	a.log.Log(a.ctx, level, e.Message, slog.String("event", e.Kind), slog.String("object", e.Object))
}
