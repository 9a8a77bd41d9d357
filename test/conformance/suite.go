// Package conformance runs libiscsi's test suite, iscsi-test-cu, against LUNs
// that ESOS serves, and compares what it skips with docs/conformance.md.
package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// Tool is the test suite's program, of Debian's libiscsi-bin.
const Tool = "iscsi-test-cu"

// Verdict is how a test ended.
type Verdict string

// Verdicts. A test that passed in part and skipped the rest counts as skipped.
const (
	Passed  Verdict = "passed"
	Skipped Verdict = "skipped"
	Failed  Verdict = "failed"
	Hung    Verdict = "hung"
	NotRun  Verdict = "not run" // the tool ended before the test: it did not find its LUN
	Crashed Verdict = "crashed" // the tool was ended by a signal
)

// Result is one test's verdict and what the tool printed.
type Result struct {
	Test    string
	Verdict Verdict
	Output  string
}

// List returns the names of the suite's SCSI and iSCSI tests: FAMILY.SUITE.TEST.
func List(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, Tool, "--list").Output()
	if len(out) == 0 && err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w (scripts/install-deps installs it)", Tool, err)
	}
	tests := parseList(string(out))
	if len(tests) == 0 {
		return nil, fmt.Errorf("list the tests of %s: it named none", Tool)
	}
	return tests, nil
}

func parseList(out string) []string {
	var tests []string
	for _, name := range strings.Fields(out) {
		family, _, _ := strings.Cut(name, ".")
		if strings.Count(name, ".") == 2 && (family == "SCSI" || family == "iSCSI") {
			tests = append(tests, name)
		}
	}
	return tests
}

// Run runs one test in a process of its own: one process for all of them
// carries failures from test to test. url and url2 are two paths to one LUN,
// whose data is lost.
func Run(ctx context.Context, test, url, url2 string, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := []string{"--dataloss", "--allow-sanitize", "--test=" + test}
	known, defective := defects[test]
	if defective {
		args = append(args, "--Verbose-scsi")
	}
	cmd := exec.CommandContext(ctx, Tool, append(args, url, url2)...)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	r := Result{Test: test, Output: out.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		r.Verdict = Hung
	case defective && known.excuses(r.Output):
		r.Verdict = Skipped
	case errors.As(err, &exit) && !exit.Exited():
		r.Verdict = Crashed
	default:
		r.Verdict = verdict(r.Output)
	}
	return r
}

// defect is a test that fails whatever the target does.
type defect struct {
	assertion string // the one that fails, as CUnit names it
	shown     string // what the tool prints when the target did its part
}

// defects are named with their reasons in docs/conformance.md too.
var defects = map[string]defect{
	// Up to libiscsi 1.19 it asserts, right after it queued the request, what
	// only the callback of the response sets.
	"iSCSI.iSCSITMF.LUNResetSimpleAsync": {assertion: "test_async_lu_reset_simple.c:157", shown: "LU RESET completed"},
}

// excuses says whether a test failed by its defect alone, and the target did
// what was asked of it.
func (d defect) excuses(out string) bool {
	return strings.Contains(out, "    1. "+d.assertion) && !strings.Contains(out, "    2. ") && strings.Contains(out, d.shown)
}

// verdict reads what the tool printed. CUnit's summary has a line
// "tests TOTAL RAN PASSED FAILED INACTIVE".
func verdict(out string) Verdict {
	_, body, ran := strings.Cut(out, "  Test: ")
	if !ran {
		return NotRun
	}
	for line := range strings.Lines(body) {
		f := strings.Fields(line)
		if len(f) != 6 || f[0] != "tests" {
			continue
		}
		switch {
		case f[4] != "0":
			return Failed
		case f[3] != "1":
			return NotRun
		case strings.Contains(body, "[SKIPPED]"):
			return Skipped
		}
		return Passed
	}
	return Crashed
}

// reasons returns what the tool said about why it skipped.
func reasons(out string) string {
	var list []string
	for line := range strings.Lines(out) {
		if _, reason, ok := strings.Cut(line, "[SKIPPED]"); ok {
			reason = strings.TrimSpace(reason)
			if len(list) == 0 || list[len(list)-1] != reason {
				list = append(list, reason)
			}
		}
	}
	return strings.Join(list, "; ")
}

// Rows returns the tests that a part of a page names in the rows of its tables:
// the code span in a row's first cell, with the reason in the second. The part
// goes from its heading of level two to the next one.
func Rows(page, heading string) map[string]string {
	rows := map[string]string{}
	in := false
	for line := range strings.Lines(page) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			in = strings.TrimSpace(title) == heading
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if !in || len(cells) < 4 || cells[0] != "" {
			continue
		}
		name := strings.TrimSpace(cells[1])
		if len(name) > 2 && name[0] == '`' && strings.HasSuffix(name, "`") && strings.Count(name, ".") == 2 {
			rows[strings.Trim(name, "`")] = strings.TrimSpace(cells[2])
		}
	}
	return rows
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
