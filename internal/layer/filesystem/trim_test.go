package filesystem_test

import (
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer/filesystem"
)

func TestTrims(t *testing.T) {
	s := newBench()
	doc := document(t)
	doc.Storage.FileSystems = append(doc.Storage.FileSystems, config.FileSystem{Name: "busy", Device: disk2, Trim: "daily"},
		config.FileSystem{Name: "old", Device: "/dev/sdz", Trim: "never"})
	jobs := filesystem.Trims(s.Machine, doc)
	if len(jobs) != 2 || jobs[0].Name != "trim/filesystem/images" || jobs[1].Name != "trim/filesystem/busy" {
		t.Fatalf("%+v", jobs)
	}
	saturday := time.Date(2026, 11, 28, 12, 0, 0, 0, time.Local)
	if got := jobs[0].Next(saturday, saturday.AddDate(0, 0, 1)); got.Sub(saturday) != 7*24*time.Hour+15*time.Hour+30*time.Minute {
		t.Errorf("weekly: %v", got)
	}
	if got := jobs[1].Next(saturday, saturday); got.Sub(saturday) != 15*time.Hour+30*time.Minute {
		t.Errorf("daily: %v", got)
	}
	if err := jobs[0].Do(t.Context()); err == nil || !strings.Contains(err.Error(), "not mounted") {
		t.Errorf("not mounted: %v", err)
	}
	s.serve(t, document(t))
	if err := jobs[0].Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := s.Calls()
	if last := calls[len(calls)-1]; last != "fstrim --verbose --quiet-unsupported /mnt/vdisks/images" {
		t.Errorf("it ran %s", last)
	}
}
