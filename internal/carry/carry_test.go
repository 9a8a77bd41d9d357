package carry

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
)

func TestNames(t *testing.T) {
	n := &Names{}
	for _, c := range [][2]string{{"disk1", "disk1"}, {"disk1", "disk1-2"}, {"a b/c", "a-b-c"}, {"--", "unnamed"}, {".hidden", "hidden"},
		{"äöü", "unnamed-2"}, {strings.Repeat("x", 70), strings.Repeat("x", 64)}, {strings.Repeat("x", 80), strings.Repeat("x", 62) + "-2"}} {
		if got := n.Make(c[0]); got != c[1] {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
}

func TestPlaceOf(t *testing.T) {
	text := []byte("äb\n\ncd")
	for offset, want := range map[int]Place{0: {1, 1}, 2: {1, 2}, 3: {1, 3}, 4: {2, 1}, 5: {3, 1}, 6: {3, 2}, 99: {3, 3}, -1: {1, 1}} {
		if got := PlaceOf(text, offset); got != want {
			t.Errorf("byte %d is at %v, want %v", offset, got, want)
		}
	}
}

// TestImportFindsItsPlace: what a reader let through is refused where it came
// from.
func TestImportFindsItsPlace(t *testing.T) {
	f := NewFound()
	f.At("targets[0]", Place{7, 3})
	f.Doc.Targets = []config.Target{{Name: "no iSCSI name"}}
	_, err := f.Import("file")
	if err == nil || !strings.HasPrefix(err.Error(), "file:7:3: targets[0].name:") {
		t.Errorf("%v", err)
	}
}
