package daemon

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/config"
)

// TestRetryOn: after an arrival it looks three times; a flood of arrivals does
// not put the first look off, and later ones begin anew.
func TestRetryOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		arrivals := make(chan struct{}, 1)
		var looks atomic.Int32
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			retryOn(ctx, arrivals, func() { looks.Add(1) })
		}()
		expect := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if got := looks.Swap(0); got != want {
				t.Errorf("%s: %d looks, want %d", what, got, want)
			}
		}
		time.Sleep(time.Hour)
		expect("nothing came", 0)
		poke(arrivals)
		time.Sleep(time.Minute)
		expect("one arrival", 3)
		for range 40 { // for two seconds
			poke(arrivals)
			time.Sleep(50 * time.Millisecond)
		}
		synctest.Wait()
		if n := looks.Swap(0); n < 8 || n > 11 {
			t.Errorf("a flood of two seconds: %d looks, want about one each 200 ms", n)
		}
		time.Sleep(time.Minute)
		if n := looks.Swap(0); n < 2 || n > 3 {
			t.Errorf("after the flood: %d looks", n)
		}
		cancel()
		<-ended
	})
}

func TestBootMedium(t *testing.T) {
	for name, c := range map[string]struct {
		report *boot.Report
		text   string
		want   alert.Rule // nil if none is watched
		fails  bool
	}{
		"not an appliance": {},
		"a stick": {report: &boot.Report{Mode: boot.ModeMemory, Medium: boot.Medium{Device: "/dev/sda", Model: "Ultra Fit",
			Partitions: map[string]boot.Partition{"esos_conf": {Device: "/dev/sda4", UUID: "0a1b"}}}},
			want: alert.Medium{Label: "esos_conf", UUID: "0a1b", Device: "/dev/sda, Ultra Fit", Sys: "/sys", Udev: "/run/udev/data", Settle: 2 * time.Second}},
		"an ISO": {report: &boot.Report{Mode: boot.ModeLive, Medium: boot.Medium{Device: "/dev/sr0",
			Partitions: map[string]boot.Partition{"ESOS-ISO": {Device: "/dev/sr0"}}}}},
		"an ISO beside a stick": {report: &boot.Report{Mode: boot.ModeInstall, Medium: boot.Medium{Device: "/dev/sr0",
			Partitions: map[string]boot.Partition{"esos_conf": {Device: "/dev/sda4"}}}}},
		"a damaged report": {text: "{", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := []byte(c.text)
			if c.report != nil {
				var err error
				if text, err = json.Marshal(c.report); err != nil {
					t.Fatal(err)
				}
			}
			if len(text) > 0 {
				if err := os.WriteFile(filepath.Join(dir, "boot.json"), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			rule, err := bootMedium(dir)
			if (err != nil) != c.fails {
				t.Fatalf("rule %+v, %v", rule, err)
			}
			if d := cmp.Diff(c.want, rule); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// TestAdoption: a seed that is not there is an empty array; one that is
// damaged is not.
func TestAdoption(t *testing.T) {
	if adoption("") != nil {
		t.Error("without a seed there is something to adopt")
	}
	file := filepath.Join(t.TempDir(), "esos.yaml")
	doc, err := adoption(file)()
	if err != nil || len(doc.Targets) != 0 || doc.Version != config.Version {
		t.Errorf("no seed: %+v, %v", doc, err)
	}
	if err := os.WriteFile(file, []byte("version: 1\nname: seeded\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if doc, err = adoption(file)(); err != nil || doc.Name != "seeded" {
		t.Errorf("a seed: %+v, %v", doc, err)
	}
	if err := os.WriteFile(file, []byte("version: 1\nnme: seeded\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := adoption(file)(); err == nil || !strings.Contains(err.Error(), "nme") {
		t.Errorf("a damaged seed: %v", err)
	}
}
