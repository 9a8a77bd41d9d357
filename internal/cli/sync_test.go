package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/persist/machine"
)

func TestPrintSynced(t *testing.T) {
	when := time.Date(2026, 11, 1, 8, 0, 0, 0, time.Local)
	g := persist.Generation{Number: 12, When: when, Files: 214, Archive: 68344}
	for _, tt := range []struct {
		saved  persist.Saved
		output string
		want   []string
	}{
		{persist.Saved{Generation: g, Took: 412345 * time.Microsecond}, asTable, []string{"saved as generation 12: 214 entries, 68344 bytes on the medium, in 412ms\n"}},
		{persist.Saved{Generation: g, Unchanged: true}, asTable, []string{"no changes since generation 12 of 2026-11-01 08:00:00\n"}},
		{persist.Saved{Generation: g, Unchanged: true}, asJSON, []string{`"number": 12`, `"unchanged": true`, `"warnings": []`, `"pruned": []`}},
		{persist.Saved{Generation: g, Pruned: []int{1}, Warnings: []string{"large"}}, asYAML, []string{"number: 12", "- 1\n", "- large\n"}},
	} {
		var out bytes.Buffer
		a := &app{out: &out, output: tt.output}
		if err := a.printSynced(tt.saved); err != nil {
			t.Fatal(err)
		}
		for _, w := range tt.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%+v as %s: %q, want %q", tt.saved, tt.output, out.String(), w)
			}
		}
	}
}

func TestMediumExitCode(t *testing.T) {
	gone := fmt.Errorf("save: %w", &machine.MediumError{Err: errors.New("no stick")})
	if code := exitCode(gone); code != exitMedium {
		t.Errorf("a medium that is gone is exit code %d", code)
	}
	if code := exitCode(&persist.TooLargeError{}); code != exitFailed {
		t.Errorf("settings that are too large are exit code %d", code)
	}
}
