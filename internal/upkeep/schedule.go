package upkeep

import "time"

// Next says when a job is due that was begun last at last.
type Next = func(now, last time.Time) time.Time

// Every is a job that is due a time after it was begun last.
func Every(d time.Duration) Next {
	return func(_, last time.Time) time.Time { return last.Add(d) }
}

// Daily is a job that is due at a time of day; all times are the clock's of
// this machine.
func Daily(hour, minute int) Next {
	return func(_, last time.Time) time.Time { return after(last, 1, at(hour, minute)) }
}

// Weekly is a job that is due on a day of the week.
func Weekly(day time.Weekday, hour, minute int) Next {
	return func(_, last time.Time) time.Time {
		return after(last, 7, func(y int, m time.Month, d int, loc *time.Location) (time.Time, bool) {
			t, _ := at(hour, minute)(y, m, d, loc)
			return t, t.Weekday() == day
		})
	}
}

// Monthly is a job that is due on the first of a month.
func Monthly(hour, minute int) Next {
	return func(_, last time.Time) time.Time {
		return after(last, 31, func(y int, m time.Month, d int, loc *time.Location) (time.Time, bool) {
			t, _ := at(hour, minute)(y, m, d, loc)
			return t, d == 1
		})
	}
}

type day func(y int, m time.Month, d int, loc *time.Location) (time.Time, bool)

func at(hour, minute int) day {
	return func(y int, m time.Month, d int, loc *time.Location) (time.Time, bool) {
		return time.Date(y, m, d, hour, minute, 0, 0, loc), true
	}
}

// after finds the first time after last on the days from then on that fit.
func after(last time.Time, days int, fits day) time.Time {
	local := last.Local()
	y, m, d := local.Date()
	for i := 0; i <= days; i++ {
		// Normalized: the 32nd is the first of the next month. Noon is on the
		// day that is meant, whatever is done to clocks at night.
		on := time.Date(y, m, d+i, 12, 0, 0, 0, local.Location())
		if t, ok := fits(on.Year(), on.Month(), on.Day(), local.Location()); ok && t.After(last) {
			return t
		}
	}
	return time.Time{}
}
