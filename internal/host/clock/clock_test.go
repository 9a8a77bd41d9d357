package clock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host/units"
)

// timesync is systemd as far as Machine uses it.
type timesync struct {
	enabled, running bool
	restarts         int
	fail             int // the call that fails, counted down
}

var errSystemd = errors.New("systemd does not answer")

func (s *timesync) call() error {
	if s.fail--; s.fail == 0 {
		return errSystemd
	}
	return nil
}

func (s *timesync) Look(_ context.Context, names ...string) ([]units.Unit, error) {
	if !slices.Equal(names, []string{"systemd-timesyncd.service"}) {
		return nil, errors.New("what is that?")
	}
	return []units.Unit{{Name: names[0], File: map[bool]string{true: "enabled", false: "disabled"}[s.enabled]}}, s.call()
}

func (s *timesync) Enable(context.Context, ...string) error  { return s.set(&s.enabled, true) }
func (s *timesync) Disable(context.Context, ...string) error { return s.set(&s.enabled, false) }
func (s *timesync) Stop(context.Context, ...string) error    { return s.set(&s.running, false) }
func (s *timesync) Restart(context.Context, ...string) error {
	s.restarts++
	return s.set(&s.running, true)
}

func (s *timesync) set(what *bool, to bool) error {
	err := s.call()
	if err == nil {
		*what = to
	}
	return err
}

func newMachine(t *testing.T) (Machine, *timesync) {
	t.Helper()
	s := &timesync{enabled: true, running: true}
	m := Machine{Root: t.TempDir(), Units: s}
	for name, text := range map[string]string{
		"usr/share/zoneinfo/Etc/UTC": "TZif2", "usr/share/zoneinfo/Europe/Berlin": "TZif2", "usr/share/zoneinfo/tzdata.zi": "# version",
	} {
		write(t, m, name, text)
	}
	write(t, m, "etc/hostname", "esos\n")
	if err := os.Symlink("/usr/share/zoneinfo/Etc/UTC", filepath.Join(m.Root, "etc/localtime")); err != nil {
		t.Fatal(err)
	}
	return m, s
}

func write(t *testing.T, m Machine, name, text string) {
	t.Helper()
	path := filepath.Join(m.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func settings(t *testing.T, m Machine) Settings {
	t.Helper()
	s, err := m.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSet(t *testing.T) {
	m, s := newMachine(t)
	if diff := cmp.Diff(Settings{Timezone: "Etc/UTC", Sync: true}, settings(t, m)); diff != "" {
		t.Errorf("as the image has it: %s", diff)
	}
	for _, want := range []Settings{
		{Timezone: "Europe/Berlin", Servers: []string{"ntp1.example.com", "2001:db8::1"}, Sync: true},
		{Timezone: "Europe/Berlin", Servers: []string{"ntp2.example.com"}, Sync: true},
		{Timezone: "Etc/UTC"},
		{Timezone: "Etc/UTC", Sync: true},
	} {
		if err := m.Set(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, settings(t, m)); diff != "" {
			t.Errorf("set to %+v: %s", want, diff)
		}
		if s.running != want.Sync {
			t.Errorf("set to %+v: timesyncd runs: %v", want, s.running)
		}
		for _, name := range []string{"etc/localtime", "etc/timezone"} {
			if st, err := os.Lstat(filepath.Join(m.Root, name)); err != nil || st.Mode().Type() == 0 && st.Mode().Perm() != 0o644 {
				t.Errorf("%s: %v %v", name, st, err)
			}
		}
	}
	if err := m.Set(t.Context(), Settings{Sync: true}); err != nil || settings(t, m).Timezone != "Etc/UTC" {
		t.Errorf("the time zone that was not named was changed to %s (%v)", settings(t, m).Timezone, err)
	}
	// Fallback servers would be asked when ours do not answer.
	if err := m.Set(t.Context(), Settings{Servers: []string{"a"}, Sync: true}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(m.Root, timesyncdConf))
	if err != nil || !strings.Contains(string(text), "[Time]\nNTP=a\nFallbackNTP=\n") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestTimezones(t *testing.T) {
	m, _ := newMachine(t)
	for zone, want := range map[string]bool{"Europe/Berlin": true, "Etc/UTC": true, "Europe": false, "Europe/Bonn": false, "tzdata.zi": false,
		"../../../etc/hostname": false, "/etc/hostname": false, "": false} {
		if got := m.HasTimezone(zone); got != want {
			t.Errorf("HasTimezone(%q) = %v", zone, got)
		}
	}
	if err := m.Set(t.Context(), Settings{Timezone: "Europe/Bonn", Sync: true}); err == nil || !strings.Contains(err.Error(), "Europe/Bonn") {
		t.Errorf("a zone that there is not: %v", err)
	}
	link := filepath.Join(m.Root, localtime)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if got := settings(t, m).Timezone; got != "UTC" {
		t.Errorf("without /etc/localtime it is %q", got)
	}
	write(t, m, "etc/localtime", "TZif2")
	if got := settings(t, m).Timezone; got != "" {
		t.Errorf("a copy of a zone is told to be %q", got)
	}
	if err := m.Set(t.Context(), Settings{Timezone: "Europe/Berlin", Sync: true}); err != nil || settings(t, m).Timezone != "Europe/Berlin" {
		t.Errorf("a copy is not replaced: %v", err)
	}
}

// Each call fails once; the next Set gets there.
func TestFaults(t *testing.T) {
	on := Settings{Timezone: "Europe/Berlin", Servers: []string{"a"}, Sync: true}
	off := Settings{Timezone: "Etc/UTC"}
	for _, way := range [][2]Settings{{on, off}, {off, on}} {
		for k := 1; ; k++ {
			m, s := newMachine(t)
			if err := m.Set(t.Context(), way[0]); err != nil {
				t.Fatal(err)
			}
			s.fail = k
			err := m.Set(t.Context(), way[1])
			if s.fail > 0 {
				break
			}
			if !errors.Is(err, errSystemd) {
				t.Errorf("call %d failed, and Set says %v", k, err)
			}
			if err := m.Set(t.Context(), way[1]); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(way[1], settings(t, m)); diff != "" || s.running != way[1].Sync {
				t.Errorf("after call %d failed and another try (running %v): %s", k, s.running, diff)
			}
		}
	}
}
