package tui_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unseen are screens that have no golden screen, by package and title, each with
// the reason.
func unseen() map[string]string {
	return map[string]string{}
}

// TestGolden: every screen that an area makes is on a golden screen of that area,
// at both sizes, with nothing over it. Screens are told by their titles, which
// are read from the source, so that nobody can add one and forget its golden
// screen.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	areas := map[string][]string{}
	for _, file := range files {
		switch area := filepath.Dir(file); {
		case strings.HasSuffix(file, "_test.go"), area == "frame", area == "pick", area == "tuitest": // they make what they are told to
		default:
			areas[area] = append(areas[area], file)
		}
	}
	excused, n := unseen(), 0
	for area, files := range areas {
		shown := goldenTitles(t, area)
		for _, s := range screens(t, files) {
			n++
			key := area + ": " + s.title
			is := slices.ContainsFunc(shown, s.is)
			switch {
			case strings.Trim(s.title, "* ") == "":
				t.Errorf("%s: the title of this %s cannot be read from the source; write it so that it can", s.at, s.kind)
			case is && unseen()[key] != "":
				t.Errorf("%s is on a golden screen: it needs no excuse", key)
			case !is && unseen()[key] == "":
				t.Errorf("%s: the %s %q is on no golden screen of %s: c.Golden in a test there makes one", s.at, s.kind, s.title, area)
			}
			delete(excused, key)
		}
	}
	for key := range excused {
		t.Errorf("there is no screen %q that could be excused", key)
	}
	if n < 200 {
		t.Errorf("only %d screens were found", n)
	}
	t.Logf("%d screens", n)
}
