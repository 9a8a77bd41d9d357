package conformance

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func summary(passed, failed string) string {
	return "\nRun Summary:    Type  Total    Ran Passed Failed Inactive\n" +
		"              suites      1      1    n/a      0        0\n" +
		"               tests      1      1      " + passed + "      " + failed + "        0\n" +
		"             asserts    512    512    512      0      n/a\n"
}

func TestVerdict(t *testing.T) {
	tests := []struct {
		name, out string
		want      Verdict
	}{
		{"passed", "Suite: Read10\n  Test: Simple ...passed\n" + summary("1", "0"), Passed},
		{"skipped", "  Test: Simple ...    [SKIPPED] X is not implemented.\npassed\n" + summary("1", "0"), Skipped},
		{"failed", "  Test: Simple ...FAILED\n" + summary("0", "1"), Failed},
		{"failed after a skipped part", "  Test: Simple ...[SKIPPED] x\nFAILED\n" + summary("0", "1"), Failed},
		{"no such test", summary("0", "0"), NotRun},
		{"no LUN", "Failed to connect to iscsi://127.0.0.1:1/x/0", NotRun},
		{"inactive", "  Test: Simple ...\n" + summary("0", "0"), NotRun},
		{"ended in the test", "  Test: Simple ...", Crashed},
	}
	for _, test := range tests {
		if got := verdict(test.out); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestParseList(t *testing.T) {
	const out = "ALL\nALL.Read10\nALL.Read10.Simple\nSCSI\nSCSI.Read10\nSCSI.Read10.Simple\niSCSI.iSCSITMF.AbortTaskSimpleAsync\nLINUX.Read10.Simple\n"
	want := []string{"SCSI.Read10.Simple", "iSCSI.iSCSITMF.AbortTaskSimpleAsync"}
	if diff := cmp.Diff(want, parseList(out)); diff != "" {
		t.Errorf("parseList (-want +got):\n%s", diff)
	}
}

func TestReasons(t *testing.T) {
	const out = "  Test: Simple ...    [SKIPPED] X is not implemented.\n    [SKIPPED] X is not implemented.\n [SKIPPED] Y.\npassed\n"
	if got, want := reasons(out), "X is not implemented.; Y."; got != want {
		t.Errorf("reasons = %q, want %q", got, want)
	}
}

func TestRows(t *testing.T) {
	const page = "# Title\n| `SCSI.E.F` | before |\n## Ours\n| test | why |\n|---|---|\n| `SCSI.A.B` | no such disk |\n| `not a test` | x |\n" +
		"`SCSI.C.D` | outside |\n## Theirs\n| `SCSI.G.H` | other |\n"
	if diff := cmp.Diff(map[string]string{"SCSI.A.B": "no such disk"}, Rows(page, "Ours")); diff != "" {
		t.Errorf("Rows (-want +got):\n%s", diff)
	}
	if got := Rows(page, "Nobody's"); len(got) != 0 {
		t.Errorf("a heading that is not there has rows: %v", got)
	}
}

func TestDefect(t *testing.T) {
	d := defect{assertion: "x.c:7", shown: "did it"}
	const alone = "did it\nFAILED\n    1. x.c:7  - CU_ASSERT_EQUAL(a,1)"
	tests := []struct {
		out  string
		want bool
	}{
		{alone, true},
		{"FAILED\n    1. x.c:7  - CU_ASSERT_EQUAL(a,1)", false},
		{alone + "\n    2. x.c:9  - CU_ASSERT_EQUAL(b,1)", false},
		{"did it\nFAILED\n    1. y.c:7  - CU_ASSERT_EQUAL(a,1)", false},
	}
	for _, test := range tests {
		if got := d.excuses(test.out); got != test.want {
			t.Errorf("excuses(%q) = %t, want %t", test.out, got, test.want)
		}
	}
}
