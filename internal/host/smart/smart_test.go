package smart

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/esos-project/esos/internal/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestParse reads answers in the form of smartctl 7.4's JSON; that of the
// virtual disk is a real one.
func TestParse(t *testing.T) {
	for name, want := range map[string]Health{
		"ata.json": {Passed: new(true), Firmware: "82.00A82", RPM: new(int64(5400)), Celsius: new(int64(32)), Hours: new(int64(38102)),
			Relocated: new(int64(8)), Pending: new(int64(16)), Media: new(int64(2)), Warnings: []string{"Spin_Retry_Count: failed past"},
			SelfTest: &SelfTest{Kind: "Extended offline", Result: "Completed: read failure", Passed: new(false), Hours: new(int64(38011))}},
		"scsi.json": {Passed: new(true), Firmware: "A3B0", RPM: new(int64(10520)), Celsius: new(int64(37)), Hours: new(int64(24210)),
			Relocated: new(int64(7)), Media: new(int64(3)), SelfTest: &SelfTest{Kind: "Background long", Result: "Completed", Passed: new(true), Hours: new(int64(24000))}},
		"nvme.json": {Passed: new(false), Firmware: "VDV10131", Celsius: new(int64(41)), Hours: new(int64(40011)), Media: new(int64(31)), Used: new(int64(108)), Spare: new(int64(4)),
			Warnings: []string{"its spare space is nearly used up", "it is not reliable any more"},
			SelfTest: &SelfTest{Kind: "Short", Result: "Completed: failed segment(s)", Passed: new(false), Hours: new(int64(39900))}},
		"asleep.json": {Asleep: true},
	} {
		got, err := parse(golden(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := parse(golden(t, "virtio.json")); !errors.Is(err, ErrSilent) {
		t.Errorf("a virtual disk: %v", err)
	}
	if _, err := parse(golden(t, "dead.json")); err == nil || errors.Is(err, ErrSilent) || !strings.Contains(err.Error(), "No such device") {
		t.Errorf("a dead disk: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"ata", "scsi", "nvme", "asleep", "dead", "virtio"} {
		f.Add(golden(f, name+".json"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parse(text)
		if err != nil {
			return
		}
		said := h.Firmware + strings.Join(h.Warnings, "")
		if h.SelfTest != nil {
			said += h.SelfTest.Kind + h.SelfTest.Result
		}
		if strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q steers the terminal", said)
		}
	})
}

// shelf is a machine with disks and what smartctl says of each.
type shelf struct {
	mu    sync.Mutex
	says  map[string]string // by path; "" hangs
	calls []string
	saved []byte
}

func (s *shelf) Output(ctx context.Context, c host.Call) ([]byte, error) {
	if c.Name == "lsblk" {
		return []byte(`{"blockdevices":[{"kname":"sda","path":"/dev/sda","type":"disk","size":1,"model":"M","serial":"1"},
			{"kname":"sdb","path":"/dev/sdb","type":"disk","size":1,"model":"M","serial":"2"},{"kname":"vda","path":"/dev/vda","type":"disk","size":1},
			{"kname":"sr0","path":"/dev/sr0","type":"rom","size":1}]}`), nil
	}
	s.mu.Lock()
	s.calls = append(s.calls, c.String())
	text := s.says[c.Args[len(c.Args)-1]]
	s.mu.Unlock()
	if text == "" {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err == nil && a.Smartctl.Exit != 0 {
		return []byte(text), &host.ExitError{Name: c.Name, Code: a.Smartctl.Exit}
	}
	return []byte(text), nil
}

func (*shelf) ReadDir(p string) ([]string, error) {
	if p == "/sys/class/block" {
		return nil, nil
	}
	return nil, fs.ErrNotExist
}
func (*shelf) Real(p string) string { return p }

func (s *shelf) ReadFile(string) ([]byte, error) {
	if s.saved == nil {
		return nil, fs.ErrNotExist
	}
	return s.saved, nil
}

func (s *shelf) Save(_ string, data []byte, _ fs.FileMode) error { s.saved = data; return nil }

func (s *shelf) look(t *testing.T, b *Book, a, bb string) map[string]Entry {
	t.Helper()
	s.says = map[string]string{"/dev/sda": a, "/dev/sdb": bb, "/dev/vda": string(golden(t, "virtio.json"))}
	if err := b.Look(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return b.All()
}

func TestLook(t *testing.T) {
	s, b := &shelf{}, &Book{}
	ata, scsi := string(golden(t, "ata.json")), string(golden(t, "scsi.json"))
	seen := s.look(t, b, ata, scsi)
	if len(seen) != 2 || *seen["M 1"].Celsius != 32 || seen["M 1"].When.IsZero() {
		t.Errorf("%+v", seen)
	}
	for _, c := range s.calls {
		if !strings.Contains(c, "--nocheck=standby") || strings.Contains(c, "sr0") {
			t.Errorf("it wakes disks: %s", c)
		}
	}
	if text, failing := seen["M 2"].Trouble(); text != "" || failing {
		t.Errorf("what it counted before it came here is told: %q", text)
	}
	if text, _ := seen["M 1"].Trouble(); text != "Spin_Retry_Count: failed past; 16 sectors cannot be read; its last self-test: Completed: read failure" {
		t.Errorf("%q", text)
	}
	// One sleeps, one counts more.
	first := seen["M 1"].When
	time.Sleep(time.Millisecond)
	seen = s.look(t, b, string(golden(t, "asleep.json")), strings.Replace(strings.Replace(scsi, `list":7`, `list":9`, 1), `errors":1}`, `errors":2}`, 1))
	if e := seen["M 1"]; !e.Asleep || *e.Celsius != 32 || !e.When.Equal(first) {
		t.Errorf("a sleeping disk: %+v", e)
	}
	if text, failing := seen["M 2"].Trouble(); failing || text != "1 error could not be corrected since it came here; 2 sectors had to be replaced since it came here" {
		t.Errorf("%q", text)
	}
	// Over a restart, and with one that died.
	if err := b.Store(s, "smart.json"); err != nil {
		t.Fatal(err)
	}
	again := &Book{}
	if err := again.Load(s, "smart.json"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.All(), again.All()); diff != "" {
		t.Error(diff)
	}
	seen = s.look(t, again, string(golden(t, "dead.json")), string(golden(t, "nvme.json")))
	if e := seen["M 1"]; !strings.Contains(e.Error, "No such device") || *e.Celsius != 32 || e.Disk != "sda" {
		t.Errorf("a dead disk: %+v", e)
	}
	if text, _ := seen["M 1"].Trouble(); !strings.Contains(text, "cannot be asked any more") {
		t.Errorf("%q", text)
	}
	if text, failing := seen["M 2"].Trouble(); !failing || !strings.HasPrefix(text, "it says itself that it is failing; its spare space") {
		t.Errorf("%q", text)
	}
}

// TestLookDoesNotHang: a disk that does not answer is given up, and told.
func TestLookDoesNotHang(t *testing.T) {
	s := &shelf{says: map[string]string{"/dev/sda": "", "/dev/sdb": ""}}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Read(ctx, s, "/dev/sda"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := (&Book{}).Look(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	b := &Book{}
	if err := b.Load(&shelf{}, "x"); err != nil || len(b.All()) != 0 {
		t.Error(err)
	}
	if err := b.Load(&shelf{saved: []byte("{")}, "x"); err == nil {
		t.Error("a damaged book is read")
	}
}
