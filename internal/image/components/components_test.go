package components_test

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/image/components"
)

var update = flag.Bool("update", false, "write docs/components.md")

func all(t *testing.T) []components.Component {
	t.Helper()
	list, err := components.All()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// lines returns the lines of a file of testdata.
func lines(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// TestRowsAreTheList: testdata has ESOS's own list of the projects it is made
// of, 117, and of the programs that its users may add, 8.
func TestRowsAreTheList(t *testing.T) {
	projects, programs := lines(t, "testdata/overview.txt"), lines(t, "testdata/vendor-clis.txt")
	if len(projects) != 117 || len(programs) != 8 {
		t.Fatalf("testdata has %d projects and %d programs, want 117 and 8", len(projects), len(programs))
	}
	var names []string
	for i, c := range all(t) {
		names = append(names, c.Name)
		if operator := c.Is == components.Operator; operator != (i >= len(projects)) {
			t.Errorf("%s is %s", c.Name, c.Is)
		}
	}
	if d := cmp.Diff(slices.Concat(projects, programs), names); d != "" {
		t.Errorf("the rows are not ESOS's list (-want +got):\n%s", d)
	}
}

func TestPackages(t *testing.T) {
	got, err := components.Packages()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(got) {
		t.Error("the packages are not sorted")
	}
	want := 0
	for _, c := range all(t) {
		want += len(c.Packages)
		for _, p := range c.Packages {
			if !slices.Contains(got, p) {
				t.Errorf("package %s of %s is missing", p, c.Name)
			}
		}
	}
	if len(got) != want {
		t.Errorf("%d packages, the rows have %d: one is in two rows", len(got), want)
	}
}

func TestUnits(t *testing.T) {
	on, off, err := components.Units()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"corosync.service", "pacemaker.service", "multipathd.service", "isnsd.service"} {
		if !slices.Contains(off, want) {
			t.Errorf("%s is not among the units that are off", want)
		}
	}
	if want := []string{"cron.service", "rsyslog.service", "ssh.service", "systemd-udevd.service"}; !slices.Equal(on, want) {
		t.Errorf("units on: %v, want %v", on, want)
	}
}

// TestMarkdown compares docs/components.md with the table.
func TestMarkdown(t *testing.T) {
	const file = "../../../docs/components.md"
	got, err := components.Markdown()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not what the table says; run go test ./internal/image/components -update (-want +got):\n%s", file, d)
	}
	_, rows, _ := strings.Cut(got, "\n| component |")
	for i, line := range strings.Split(strings.TrimSpace(rows), "\n") {
		// A backslash before \| would be read with the first of the two.
		if i > 0 && (strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 || strings.Contains(line, `\\|`)) {
			t.Errorf("row %d has not four cells: %s", i-1, line)
		}
	}
}
