package components

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Verdict is how one component's check went on an appliance.
type Verdict struct {
	Component string
	Err       error  // nil when the row is true there
	Output    string // what the check printed
}

// Limits of one check on the appliance.
const (
	checkSeconds = 120
	checkBytes   = 16 << 10
)

// Marks of the script's lines; output lines start with lineMark.
const (
	startMark = "@component "
	unitMark  = "@unit "
	endMark   = "@exit "
	lineMark  = "|"
)

// Script returns a program for sh that runs the check of each component, as
// root, one after another, and prints what Judge reads.
func Script(list []Component) string {
	var b strings.Builder
	b.WriteString("export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
	b.WriteString("w=$(mktemp -d) || exit 1\ntrap 'rm -rf \"$w\"' EXIT\ncd \"$w\"\n")
	// A here document per check would be read by the check itself; a file is not.
	fmt.Fprintf(&b, `check() {
  printf '\n%s%%s\n' "$1"
  timeout -k 5 %d sh -c "$2" </dev/null >"$w/out" 2>&1
  r=$?
  head -c %d "$w/out" | sed 's/^/%s/'
  shift 2
  for u in "$@"; do
    a=$(systemctl is-active "$u" 2>/dev/null)
    systemctl cat "$u" >/dev/null 2>&1 || a=absent
    printf '\n%s%%s %%s\n' "$u" "$a"
  done
  printf '\n%s%%s\n' "$r"
}
`, startMark, checkSeconds, checkBytes, lineMark, unitMark, endMark)
	for i, c := range list {
		fmt.Fprintf(&b, "check %d %s", i+1, quote(c.Check))
		for _, u := range append(append([]string(nil), c.On...), c.Off...) {
			b.WriteString(" " + quote(u))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Judge reads what Script printed and returns a verdict for each component of
// the list, in its order. Other lines, as consoles have them, do not matter.
func Judge(list []Component, output string) []Verdict {
	runs := parseRuns(output)
	verdicts := make([]Verdict, len(list))
	for i, c := range list {
		v := Verdict{Component: c.Name}
		if r, ok := runs[i+1]; !ok {
			v.Err = fmt.Errorf("check of %s: it did not run", c.Name)
		} else {
			v.Output = strings.Join(r.output, "\n")
			v.Err = c.judge(r, v.Output)
		}
		verdicts[i] = v
	}
	return verdicts
}

// run is what the script printed of one check.
type run struct {
	exit   int // -1: it did not end
	output []string
	units  map[string]string // name to state
}

func parseRuns(output string) map[int]*run {
	runs := map[int]*run{}
	var r *run
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if s, ok := strings.CutPrefix(line, startMark); ok {
			if n, err := strconv.Atoi(s); err == nil {
				r = &run{exit: -1, units: map[string]string{}}
				runs[n] = r
			}
			continue
		}
		if r == nil {
			continue
		}
		switch {
		case strings.HasPrefix(line, lineMark):
			r.output = append(r.output, line[len(lineMark):])
		case strings.HasPrefix(line, unitMark):
			name, state, _ := strings.Cut(line[len(unitMark):], " ")
			r.units[name] = state
		case strings.HasPrefix(line, endMark):
			if n, err := strconv.Atoi(line[len(endMark):]); err == nil {
				r.exit = n
			}
			r = nil
		}
	}
	return runs
}

func (c Component) judge(r *run, output string) error {
	switch {
	case r.exit == -1:
		return fmt.Errorf("check of %s: it did not end", c.Name)
	case r.exit == 124 || r.exit == 137:
		return fmt.Errorf("check of %s: ended after %d seconds: %s", c.Name, checkSeconds, c.Check)
	case r.exit != 0:
		return fmt.Errorf("check of %s: exit code %d of: %s", c.Name, r.exit, c.Check)
	}
	expect, err := regexp.Compile(c.Expect)
	if err != nil {
		return fmt.Errorf("check of %s: expect: %w", c.Name, err)
	}
	if !expect.MatchString(output) {
		return fmt.Errorf("check of %s: its output does not match %s", c.Name, c.Expect)
	}
	for want, units := range map[string][]string{"active": c.On, "inactive": c.Off} {
		for _, u := range units {
			if r.units[u] != want {
				return fmt.Errorf("check of %s: unit %s is %s, not %s", c.Name, u, r.units[u], want)
			}
		}
	}
	return nil
}

// quote makes one word of s for sh.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
