package vm

import (
	"strings"
	"testing"
)

// TestCards: the two ends of a cable are each other's peers.
func TestCards(t *testing.T) {
	ends := [2]string{}
	for end := range ends {
		ends[end] = strings.Join(cardArgs([]Card{{MAC: "52:54:00:e5:00:01", Cable: "/tmp/c", End: end}}), " ")
	}
	for end, want := range []string{"local.path=/tmp/c.0,remote.type=unix,remote.path=/tmp/c.1", "local.path=/tmp/c.1,remote.type=unix,remote.path=/tmp/c.0"} {
		if !strings.Contains(ends[end], want) || !strings.Contains(ends[end], "mac=52:54:00:e5:00:01") {
			t.Errorf("end %d: %s", end, ends[end])
		}
	}
	if len(cardArgs(nil)) > 0 {
		t.Error("a machine without cards has some")
	}
}
