package snapshot

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/esos-project/esos/internal/config"
)

// Next is when the snapshot after that of last is due: the first time of a
// schedule that is later. Times of day are UTC, and so are the days: there is
// no night with an hour that comes twice or not at all. If a machine was off
// then, the time is past, and one snapshot is due for however many were missed.
func Next(n config.Snapshots, last time.Time) time.Time {
	last = last.UTC()
	y, m, d := last.Date()
	hour, minute := timeOfDay(n.At)
	at := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, hour, minute, 0, 0, time.UTC) }
	var next time.Time
	switch n.Every {
	case "hourly":
		return last.Truncate(time.Hour).Add(time.Hour)
	case "daily":
		if next = at(y, m, d); !next.After(last) {
			next = at(y, m, d+1)
		}
	case "weekly":
		sunday := d - int(last.Weekday())
		if next = at(y, m, sunday); !next.After(last) {
			next = at(y, m, sunday+7)
		}
	case "monthly":
		if next = at(y, m, 1); !next.After(last) {
			next = at(y, m+1, 1)
		}
	default:
		// Counted from a midnight long ago: 15m is at 00, 15, 30 and 45, and what
		// divides a day is at the same times each day.
		every, err := n.Interval()
		if err != nil || every == 0 {
			return last.AddDate(100, 0, 0) // refused by the document's check
		}
		return last.Truncate(every).Add(every)
	}
	return next
}

// timeOfDay is midnight for what the document's check refuses.
func timeOfDay(at string) (hour, minute int) {
	t, err := time.Parse("15:04", at)
	if err != nil {
		return 0, 0
	}
	return t.Hour(), t.Minute()
}

// Last is the moment of the newest snapshot of a schedule; zero if there is
// none.
func Last(all []Snapshot, schedule string) (last time.Time) {
	for _, snap := range all {
		if snap.Schedule == schedule && snap.Taken.After(last) {
			last = snap.Taken
		}
	}
	return last
}

// Surplus are the snapshots that a schedule keeps no longer, oldest first.
// Those of one moment are kept or deleted together, and are kept while one of
// them is used.
func Surplus(all []Snapshot, n config.Snapshots) (surplus []Snapshot) {
	sets := map[string][]Snapshot{}
	var moments []time.Time
	names := map[time.Time][]string{}
	for _, snap := range all {
		if snap.Schedule != n.Name {
			continue
		}
		if sets[snap.Name] == nil {
			if names[snap.Taken] == nil {
				moments = append(moments, snap.Taken)
			}
			names[snap.Taken] = append(names[snap.Taken], snap.Name)
		}
		sets[snap.Name] = append(sets[snap.Name], snap)
	}
	slices.SortFunc(moments, time.Time.Compare)
	for _, t := range moments[:max(0, len(moments)-n.Keep)] {
		for _, name := range names[t] {
			set := sets[name]
			if !slices.ContainsFunc(set, func(s Snapshot) bool { return len(s.Users) > 0 }) {
				surplus = append(surplus, set...)
			}
		}
	}
	return surplus
}

// Retain deletes the snapshots that a schedule keeps no longer.
func (s *Service) Retain(ctx context.Context, doc *config.Document, n config.Snapshots) (deleted []Snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.List(ctx, doc)
	if err != nil {
		return nil, err // what uses them may not be known
	}
	var errs []error
	for _, snap := range Surplus(all, n) {
		if err := s.delete(ctx, snap); err != nil {
			errs = append(errs, err)
			continue
		}
		deleted = append(deleted, snap)
	}
	return deleted, errors.Join(errs...)
}
