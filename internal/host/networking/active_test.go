package networking

import (
	"testing"
	"time"
)

func TestParseActivity(t *testing.T) {
	for text, want := range map[string]struct {
		state string
		since time.Duration
	}{
		"ActiveState=active\nActiveEnterTimestampMonotonic=12500000\n": {active, 12500 * time.Millisecond},
		"ActiveEnterTimestampMonotonic=1\nActiveState=reloading\n":     {active, time.Microsecond},
		"ActiveState=activating\nActiveEnterTimestampMonotonic=0\n":    {activating, 0},
		"ActiveState=failed\nActiveEnterTimestampMonotonic=abc\n":      {"failed", 0},
		"": {"", 0},
	} {
		if state, since := parseActivity(text); state != want.state || since != want.since {
			t.Errorf("%q: %s %v, want %s %v", text, state, since, want.state, want.since)
		}
	}
}
