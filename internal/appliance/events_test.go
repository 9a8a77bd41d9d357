package appliance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
)

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, &enginetest.Memory{})
	for i := range 5 {
		a.Note(engine.Event{Kind: "test", Message: fmt.Sprint("event ", i+1)})
	}
	ctx, cancel := context.WithCancel(t.Context())
	all, err := a.Subscribe(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := a.Subscribe(ctx, -1)
	if err != nil {
		t.Fatal(err)
	}
	a.Note(engine.Event{Kind: "test", Message: "event 6"})
	for want := int64(3); want <= 6; want++ {
		if e := <-all; e.ID != want || e.Message != fmt.Sprint("event ", want) {
			t.Errorf("got %+v, want event %d", e, want)
		}
	}
	if e := <-fresh; e.ID != 6 {
		t.Errorf("got %+v", e)
	}
	cancel()
	for range all {
	}
	for range fresh {
	}
	// One that does not read is dropped; the others are not held up.
	slow, err := a.Subscribe(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * subscriberQ {
		a.Note(engine.Event{Kind: "test", Message: fmt.Sprint("flood ", i)})
	}
	n := 0
	for range slow {
		n++
	}
	if n > subscriberQ+1 {
		t.Errorf("a slow reader was given %d events", n)
	}
	last, _ := a.Events(t.Context(), 0)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	// Numbers go on after a restart; a line cut by a crash is passed over.
	f, err := os.OpenFile(filepath.Join(dir, "events.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":9999,"ki`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	a = open(t, dir, &enginetest.Memory{})
	a.Note(engine.Event{Kind: "test", Message: "after"})
	again, _ := a.Events(t.Context(), 0)
	if len(again) != len(last)+1 || again[len(again)-1].ID != last[len(last)-1].ID+1 {
		t.Errorf("%d events, the last %+v; before %d", len(again), again[len(again)-1], len(last))
	}
	// And once more: what was noted after the cut line is there.
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open(t, dir, &enginetest.Memory{})
	if again, _ := a.Events(t.Context(), 0); again[len(again)-1].Message != "after" {
		t.Errorf("lost behind a cut line: %+v", again[len(again)-1])
	}
}

func TestEventsAreBounded(t *testing.T) {
	dir := t.TempDir()
	a := open(t, dir, &enginetest.Memory{})
	for i := range 3 * ringSize {
		a.Note(engine.Event{Kind: "test", Message: fmt.Sprint(i) + strings.Repeat("x", 1500)})
	}
	events, _ := a.Events(t.Context(), 0)
	if len(events) != ringSize || events[ringSize-1].ID != 3*ringSize {
		t.Errorf("%d events, last %d", len(events), events[len(events)-1].ID)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "events.jsonl*"))
	if len(files) != 2 {
		t.Errorf("files: %q", files)
	}
	for _, f := range files {
		if st, _ := os.Stat(f); st.Size() > maxEventFile || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v", f, st.Size(), st.Mode())
		}
	}
}
