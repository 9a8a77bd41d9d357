package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/test/array"
	"github.com/esos-project/esos/test/level"
)

// table is where each test that no kind of LUN can run is named with its reason.
const table = "docs/conformance.md"

// testTimeout is generous: the slowest test takes a few seconds on an idle
// machine, and the machine is not always idle.
const testTimeout = 60 * time.Second

// slowTimeout is for the slow test, which sleeps a minute between its looks
// whether the SANITIZE is through.
const slowTimeout = 4 * time.Minute

// kind is a sort of LUN. Each has a target of its own, because some tests
// reset their target.
type kind struct {
	name   string
	device string // fields of the device, beside name and handler
	lun    string // fields of the LUN, beside number and device
	only   string // prefix of the tests that make sense on it; all when empty
	except string // a test that does not
}

// slowTest looks whether a SANITIZE still runs four seconds after its start.
// It has a LUN of its own, so large that it does.
const slowTest = "SCSI.Sanitize.Reset"

// unmapSingle asks GET LBA STATUS for a block inside a physical block and
// expects the descriptor to begin at the next one; SBC-4 5.10.2 has it begin
// at the block that was asked for.
const unmapSingle = "SCSI.GetLBAStatus.UnmapSingle"

// The first kind runs every test at every level; the others show what the
// first one skips, and at level full run everything too.
var kinds = []kind{
	{name: "thin", device: "size: 128MiB"},
	{name: "thick", device: "size: 128MiB\n    provisioning: thick"},
	{name: "4k", device: "size: 128MiB\n    block_size: 4096"},
	// This one has physical blocks of 4096 bytes, for which unmapSingle expects
	// what no target may answer.
	{name: "rotational", device: "size: 128MiB\n    rotational: true", except: unmapSingle},
	{name: "direct", device: "size: 128MiB\n    o_direct: true\n    block_size: 4096"},
	{name: "removable", device: "size: 128MiB\n    removable: true"},
	{name: "read-only", device: "size: 128MiB", lun: "read_only: true", only: "SCSI.ReadOnly."},
}

// slow is for slowTest, see slowSize.
var slow = kind{name: "slow", device: "o_direct: true\n    block_size: 4096", only: slowTest}

// slowSize returns a size that takes about half a minute to overwrite here.
func slowSize(t *testing.T) int64 {
	t.Helper()
	const probe = 128 << 20
	name := filepath.Join(t.TempDir(), "probe")
	start := time.Now()
	out, err := exec.Command("dd", "if=/dev/zero", "of="+name, "bs=1M", fmt.Sprintf("count=%d", probe>>20), "oflag=direct").CombinedOutput()
	if err != nil {
		t.Fatalf("measure the disk: %v\n%s", err, out)
	}
	size := int64(30 * probe / time.Since(start).Seconds())
	return min(max(size, 1<<30), 12<<30) &^ (1<<20 - 1)
}

func document(portals []string, slowBytes int64) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: conformance\niscsi:\n  portals:\n")
	for i, p := range portals {
		fmt.Fprintf(&b, "  - name: p%d\n    address: %s\n", i, p)
	}
	b.WriteString("devices:\n")
	for _, k := range slices.Concat(kinds, []kind{slow}) {
		fmt.Fprintf(&b, "  - name: %s\n    handler: vdisk_fileio\n    path: %s.img\n    %s\n", k.name, k.name, k.device)
		if k == slow {
			fmt.Fprintf(&b, "    size: %d\n", slowBytes)
		}
	}
	b.WriteString("targets:\n")
	for _, k := range slices.Concat(kinds, []kind{slow}) {
		fmt.Fprintf(&b, "  - name: %s\n    groups:\n    - name: all\n      initiators: ['*']\n      luns:\n      - lun: 0\n        device: %s\n", k.target(), k.name)
		if k.lun != "" {
			fmt.Fprintf(&b, "        %s\n", k.lun)
		}
	}
	return b.String()
}

func (k kind) target() string { return "iqn.2026-11.org.esos-project.test:" + k.name }

// outcome gathers the verdicts of all kinds.
type outcome struct {
	mu      sync.Mutex
	shown   map[string]bool   // passed on some kind
	skipped map[string]string // skipped on the kinds that ran it, with the tool's words
}

func (o *outcome) add(r Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch r.Verdict {
	case Passed:
		o.shown[r.Test] = true
	case Skipped:
		o.skipped[r.Test] = reasons(r.Output)
	}
}

// left returns the tests that were skipped until now.
func (o *outcome) left() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return sortedKeys(o.skipped)
}

// TestConformance is bar 3: nothing fails, hangs or crashes, and what is
// skipped on every kind of LUN is what the table says.
func TestConformance(t *testing.T) {
	level.Require(t, level.Smoke)
	have, err := level.Of()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	tests, err := List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	portals := []string{array.FreeAddress(t), array.FreeAddress(t)}
	a := array.Start(t, array.Options{Document: document(portals, slowSize(t))})
	logs := filepath.Join(level.Cache(t), "conformance")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}

	all := &outcome{shown: map[string]bool{}, skipped: map[string]string{}}
	run := func(t *testing.T, k kind, tests []string) {
		tests = slices.DeleteFunc(slices.Clone(tests), func(name string) bool {
			return !strings.HasPrefix(name, k.only) || name == slowTest && k != slow || name == k.except
		})
		runKind(ctx, t, k, tests, portals, filepath.Join(logs, k.name+".log"), all)
	}
	t.Run("kinds", func(t *testing.T) {
		// It sleeps most of its time: the others need not wait for it.
		t.Run(slow.name, func(t *testing.T) {
			t.Parallel()
			run(t, slow, []string{slowTest})
		})
		t.Run("everything", func(t *testing.T) {
			t.Parallel()
			t.Run(kinds[0].name, func(t *testing.T) { run(t, kinds[0], tests) })
			rest := tests
			if have < level.Full {
				rest = all.left()
			}
			for _, k := range kinds[1:] {
				t.Run(k.name, func(t *testing.T) {
					t.Parallel()
					run(t, k, rest)
				})
			}
		})
	})
	a.CheckProcesses(t)
	compare(t, all, len(tests))
}

func runKind(ctx context.Context, t *testing.T, k kind, tests, portals []string, logName string, all *outcome) {
	log, err := os.Create(logName)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	url := func(portal string) string { return fmt.Sprintf("iscsi://%s/%s/0", portal, k.target()) }
	count := map[Verdict]int{}
	start := time.Now()
	for _, name := range tests {
		timeout := testTimeout
		if name == slowTest {
			timeout = slowTimeout
		}
		r := Run(ctx, name, url(portals[0]), url(portals[1]), timeout)
		count[r.Verdict]++
		all.add(r)
		fmt.Fprintf(log, "### %s: %s\n%s\n", r.Test, r.Verdict, r.Output)
		if r.Verdict != Passed && r.Verdict != Skipped {
			t.Errorf("%s: %s\n%s", r.Test, r.Verdict, excerpt(r.Output))
		}
	}
	t.Logf("%s: %d tests in %.0f s: %d passed, %d skipped, %d failed, %d hung, %d not run, %d crashed (%s)", k.name, len(tests),
		time.Since(start).Seconds(), count[Passed], count[Skipped], count[Failed], count[Hung], count[NotRun], count[Crashed], logName)
}

// excerpt returns the part of a test's output that tells of it.
func excerpt(out string) string {
	if i := strings.Index(out, "  Test: "); i >= 0 {
		out = out[i:]
	}
	if i := strings.Index(out, "Run Summary"); i >= 0 {
		out = out[:i]
	}
	if len(out) > 2000 {
		out = out[:2000] + "..."
	}
	return out
}

func compare(t *testing.T, all *outcome, total int) {
	page, err := os.ReadFile(filepath.Join(level.Root(t), table))
	if err != nil {
		t.Fatal(err)
	}
	rows := Rows(string(page), "Skipped on every kind")
	never := 0
	for _, name := range sortedKeys(all.skipped) {
		if all.shown[name] {
			continue
		}
		never++
		if rows[name] == "" {
			t.Errorf("%s is skipped on every kind of LUN and has no reason in %s; the suite says: %s", name, table, all.skipped[name])
		}
	}
	for _, name := range sortedKeys(rows) {
		_, skipped := all.skipped[name]
		_, defective := defects[name]
		// A defect may be mended in the suite that is installed here.
		if (!skipped || all.shown[name]) && !defective {
			t.Errorf("%s is named in %s but is not skipped: remove its row", name, table)
		}
	}
	t.Logf("%d of %d tests shown on some kind of LUN, %d skipped on all of them", len(all.shown), total, never)
}
