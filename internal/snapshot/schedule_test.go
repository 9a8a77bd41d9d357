package snapshot

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
)

func TestNext(t *testing.T) {
	for _, tt := range []struct{ every, at, last, next string }{
		{"hourly", "", "2026-11-28 12:00:00", "2026-11-28 13:00:00"},
		{"hourly", "", "2026-11-28 12:59:59", "2026-11-28 13:00:00"},
		{"15m", "", "2026-11-28 12:00:00", "2026-11-28 12:15:00"},
		{"15m", "", "2026-11-28 12:14:59", "2026-11-28 12:15:00"},
		{"6h", "", "2026-11-28 18:00:01", "2026-11-29 00:00:00"},
		{"7h", "", "2026-11-28 13:00:00", "2026-11-28 20:00:00"},
		{"daily", "", "2026-11-28 12:00:00", "2026-11-29 00:00:00"},
		{"daily", "02:30", "2026-11-28 02:29:59", "2026-11-28 02:30:00"},
		{"daily", "02:30", "2026-11-28 02:30:00", "2026-11-29 02:30:00"},
		{"daily", "02:30", "2026-12-31 03:00:00", "2027-01-01 02:30:00"},
		{"daily", "02:30", "2026-03-28 03:00:00", "2026-03-29 02:30:00"}, // the hour that summer time skips
		{"weekly", "04:00", "2026-11-28 12:00:00", "2026-11-29 04:00:00"},
		{"weekly", "04:00", "2026-11-29 03:59:59", "2026-11-29 04:00:00"},
		{"weekly", "04:00", "2026-11-29 04:00:00", "2026-12-06 04:00:00"},
		{"monthly", "", "2026-12-01 00:00:00", "2027-01-01 00:00:00"},
		{"monthly", "05:00", "2026-12-01 00:00:00", "2026-12-01 05:00:00"},
		{"monthly", "05:00", "2027-01-31 12:00:00", "2027-02-01 05:00:00"},
	} {
		last, err := time.Parse(time.DateTime, tt.last)
		if err != nil {
			t.Fatal(err)
		}
		// Wherever the clock of the machine is.
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("east", 13*3600), time.FixedZone("west", -11*3600)} {
			got := Next(config.Snapshots{Every: tt.every, At: tt.at}, last.In(zone))
			if got.Format(time.DateTime) != tt.next || got.Location() != time.UTC {
				t.Errorf("%s at %q after %s (%s): %s, want %s", tt.every, tt.at, tt.last, zone, got, tt.next)
			}
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("daily", "02:30", int64(1795867200))
	f.Add("15m", "", int64(0))
	f.Add("x", "y", int64(1))
	f.Add("daily", "044444444444444403:", int64(1795867261))
	f.Fuzz(func(t *testing.T, every, at string, last int64) {
		from := time.Unix(last%(1<<40), 0)
		if got := Next(config.Snapshots{Every: every, At: at}, from); !got.After(from) {
			t.Errorf("%s at %q after %s: %s", every, at, from, got)
		}
	})
}

func TestSurplus(t *testing.T) {
	at := func(device string, hour int, users ...string) Snapshot {
		taken := noon().Add(time.Duration(hour) * time.Hour)
		return Snapshot{Device: device, Name: stamped("s", taken), Schedule: "s", Taken: taken, Users: users}
	}
	manual := at("a", -100)
	manual.Schedule = ""
	other := at("a", -99)
	other.Schedule = "other"
	for name, tt := range map[string]struct {
		all  []Snapshot
		keep int
		want []string
	}{
		"fewer":              {[]Snapshot{at("a", 1)}, 2, nil},
		"others'":            {[]Snapshot{manual, other, at("a", 1)}, 1, nil},
		"oldest first":       {[]Snapshot{at("a", 3), at("a", 1), at("a", 2)}, 1, []string{"a@s-20261128-130000", "a@s-20261128-140000"}},
		"sets":               {[]Snapshot{at("a", 1), at("b", 1), at("a", 2), at("b", 2)}, 1, []string{"a@s-20261128-130000", "b@s-20261128-130000"}},
		"used":               {[]Snapshot{at("a", 1, "device/x"), at("b", 1), at("a", 2), at("a", 3)}, 1, []string{"a@s-20261128-140000"}},
		"keep counts moment": {[]Snapshot{at("a", 1), at("b", 1), at("c", 1), at("a", 2)}, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, snap := range Surplus(tt.all, config.Snapshots{Name: "s", Keep: tt.keep}) {
				got = append(got, snap.ID())
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// A schedule over some hours: the newest are kept, and what somebody took by
// hand, or uses.
func TestRetain(t *testing.T) {
	m := storagefake.New()
	m.Thin("vg-0/a", "vg-0/b")
	now := noon()
	s := New(Options{Machine: m, DataDir: "/data", Now: func() time.Time { return now }})
	doc := documentOf(volumes("a", "b")...)
	n := config.Snapshots{Name: "h", Devices: []string{"a", "b"}, Every: "hourly", Keep: 2}
	if _, err := s.Take(t.Context(), Request{Name: "h", Devices: doc.Devices[:1]}); err != nil { // by hand
		t.Fatal(err)
	}
	clone := config.VolumeGroup{Name: "vg-0", Volumes: []config.Volume{{Name: "c", CloneOf: "b.h-20261128-140000"}}}
	for range 5 {
		now = Next(n, now)
		if _, err := s.Take(t.Context(), Request{Name: n.Name, Devices: doc.Devices, Schedule: n.Name}); err != nil {
			t.Fatal(err)
		}
		if now.Hour() == 14 {
			doc.Storage.VolumeGroups = []config.VolumeGroup{clone}
		}
		if _, err := s.Retain(t.Context(), doc, n); err != nil {
			t.Fatal(err)
		}
		if got := Last(mustList(t, s, doc), n.Name); !got.Equal(now) {
			t.Errorf("the last one was at %s, not %s", got, now)
		}
	}
	var got []string
	for _, snap := range mustList(t, s, doc) {
		got = append(got, snap.ID())
	}
	want := []string{"a@h-20261128-120000", "a@h-20261128-140000", "a@h-20261128-160000", "a@h-20261128-170000",
		"b@h-20261128-140000", "b@h-20261128-160000", "b@h-20261128-170000"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("left %v, want %v", got, want)
	}
}

func mustList(t *testing.T, s *Service, doc *config.Document) []Snapshot {
	t.Helper()
	all, err := s.List(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
