package tui_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unseen are screens that have no golden screen, by package and title, each with
// the reason.
func unseen() map[string]string {
	const race = "somebody takes it away between the list and the key"
	return map[string]string{
		"frame: The terminal cannot be handed over":  "a terminal in memory can always be",
		"hardware: It is gone":                       race,
		"hardware: Not declared":                     "another session of this machine's own: the imitation has only its own",
		"system: * is gone":                          race,
		"system: * is not ESOS's":                    "an interface that is neither a port nor declared: the imitation has none",
		"targets: Namespace *":                       "the kernel's NVMe target wants a block device, which the imitation has none of",
		"volumes: It is not there any more":          race,
		"volumes: Volume group * cannot be taken up": "two groups of one name: the imitation refuses the second",
		"volumes: Copy the image file":               "the imitation copies in no time; frame/testdata/progress is such a screen",
		"wizards: This does not go together":         "the fields' checks see it before",
	}
}

// named are the golden screens of those whose titles are the names of things, by
// the file that makes them.
func named() map[string]string {
	return map[string]string{
		"hardware/programs.go": "program",
		"home/find.go":         "object",
		"upkeep/logs.go":       "logs-files",
	}
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
		case strings.HasSuffix(file, "_test.go"), area == "pick", area == "tuitest": // they make what they are told to
		default:
			areas[area] = append(areas[area], file)
		}
	}
	excused, n := unseen(), 0
	for area, files := range areas {
		in := area
		if area == "frame" { // what it makes by itself comes up everywhere
			in = "*"
		}
		shown := goldenTitles(t, in)
		for _, s := range screens(t, files) {
			n++
			key := area + ": " + s.title
			is := slices.ContainsFunc(shown, s.is)
			switch {
			case area == "frame" && strings.Trim(s.title, "*") == "": // what it is told to make
			case strings.Trim(s.title, "* ") == "" && named()[s.at.Filename] != "":
				for _, size := range []string{".80x24", ".160x50"} {
					if _, err := os.Stat(filepath.Join(area, "testdata", named()[s.at.Filename]+size)); err != nil {
						t.Errorf("%s: %v", s.at, err)
					}
				}
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
