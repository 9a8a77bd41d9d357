package kernel

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/conformance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// table is the part of docs/conformance.md that names what LIO does not pass.
const table = "LIO in the appliance's kernel"

// kinds are the sorts of LUN that LIO serves. The first one runs every test,
// the others what it skipped or failed.
var kinds = []struct{ name, device string }{
	{"thin", "handler: vdisk_fileio, path: " + images + "/thin.img, size: 128MiB"},
	{"through", "handler: vdisk_fileio, path: " + images + "/through.img, size: 128MiB, write_through: true"},
	{"4k", "handler: vdisk_fileio, path: " + images + "/4k.img, size: 128MiB, block_size: 4096"},
	{"disk", "handler: vdisk_blockio, path: /dev/disk/by-id/virtio-raw"},
	{"memory", "handler: vdisk_memory, size: 128MiB"},
	{"read-only", "handler: vdisk_fileio, path: " + images + "/ro.img, size: 128MiB"},
}

func kindDocument() string {
	var b strings.Builder
	b.WriteString("devices:\n")
	for _, k := range kinds {
		fmt.Fprintf(&b, "  - {name: %s, %s}\n", k.name, k.device)
	}
	b.WriteString("iscsi: {portals: [{name: all, address: '0.0.0.0:3260'}]}\ntargets:\n")
	for _, k := range kinds {
		lun := "lun: 0, device: " + k.name
		if k.name == "read-only" {
			lun += ", read_only: true"
		}
		fmt.Fprintf(&b, "  - name: %s\n    groups: [{name: all, initiators: ['*'], luns: [{%s}]}]\n", kindTarget(k.name), lun)
	}
	return b.String()
}

func kindTarget(name string) string { return "iqn.2026-11.org.esos-project.test:" + name }

// TestConformance runs libiscsi's suite against LIO as the appliance sets it
// up. What LIO fails or skips on every sort of LUN is named, with the reason,
// in docs/conformance.md, and nothing that it passes is.
func TestConformance(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 60*time.Minute)
	tests, err := conformance.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := shared.Lab(t).Blank("raw", 128<<20)
	if err != nil {
		t.Fatal(err)
	}
	a := newArray(ctx, t, "lio", appliance.Options{Others: drives(raw, "raw")})
	a.apply(ctx, kindDocument())

	verdicts := map[string]map[conformance.Verdict]int{} // by test
	words := map[string]string{}
	rest := tests
	for _, k := range kinds {
		count, began := map[conformance.Verdict]int{}, time.Now()
		var again []string
		for _, name := range rest {
			url := "iscsi://" + a.Portal() + "/" + kindTarget(k.name) + "/0"
			r := conformance.Run(ctx, name, url, url, time.Minute)
			count[r.Verdict]++
			if verdicts[name] == nil {
				verdicts[name] = map[conformance.Verdict]int{}
			}
			verdicts[name][r.Verdict]++
			if r.Verdict != conformance.Passed {
				again = append(again, name)
				words[name] += fmt.Sprintf("%s: %s\n%s\n", k.name, r.Verdict, r.Output)
			}
		}
		t.Logf("%s: %d tests in %.0f s: %v", k.name, len(rest), time.Since(began).Seconds(), count)
		rest = again
	}
	saveWords(t, words)
	judge(t, verdicts, words)
	a.Run(ctx, "esos status") // the daemon is alive
	if out := a.Run(ctx, "dmesg"); strings.Contains(out, "BUG:") || strings.Contains(out, "Call Trace") {
		t.Errorf("the kernel is not well:\n%s", out)
	}
}

// judge compares verdicts with the table. A test whose row begins with
// "sometimes" may pass.
func judge(t *testing.T, verdicts map[string]map[conformance.Verdict]int, words map[string]string) {
	page, err := os.ReadFile(filepath.Join(level.Root(t), "docs/conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := conformance.Rows(string(page), table)
	passed, failed := 0, 0
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		v, row := verdicts[name], rows[name]
		ok := v[conformance.Passed] > 0
		if ok {
			passed++
		} else if v[conformance.Skipped] == 0 {
			failed++
		}
		switch {
		case !ok && row == "":
			t.Errorf("%s passes on no sort of LUN (%v) and is not named in docs/conformance.md:\n%.3000s", name, v, words[name])
		case ok && row != "" && !strings.HasPrefix(row, "sometimes"):
			t.Errorf("%s is named in docs/conformance.md, but passes: remove its row", name)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s is named in docs/conformance.md, but there is no such test", name)
	}
	t.Logf("%d of %d tests pass on some sort of LUN, %d fail, the others are skipped", passed, len(verdicts), failed)
}

// saveWords keeps what the tool printed of tests that did not pass.
func saveWords(t *testing.T, words map[string]string) {
	dir := filepath.Join(level.Cache(t), "conformance")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(words)) {
		fmt.Fprintf(&b, "### %s\n%s\n", name, words[name])
	}
	if err := os.WriteFile(filepath.Join(dir, "lio.log"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
