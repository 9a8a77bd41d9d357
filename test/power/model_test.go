package power

import (
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

func TestPromise(t *testing.T) {
	p := Promise{{State: 1, Began: 100, Done: 200}, {State: 2, Began: 210, Done: 300}, {State: 3, Began: 310, Done: never}}
	for _, tt := range []struct {
		position int64
		least    int
		most     int
	}{{50, 0, 0}, {100, 0, 0}, {150, 0, 1}, {199, 0, 1}, {200, 1, 1}, {250, 1, 2}, {305, 2, 2}, {400, 2, 3}, {never - 1, 2, 3}} {
		for found := range 5 {
			if err := p.Check(tt.position, found); (err == nil) != (found >= tt.least && found <= tt.most) {
				t.Errorf("state %d after %d bytes, want %d to %d: %v", found, tt.position, tt.least, tt.most, err)
			}
		}
	}
}

// TestMenu holds Next to what grub.cfg does, which internal/medium/grub tests
// with GRUB's own words.
func TestMenu(t *testing.T) {
	both := []slot.Name{slot.Primary, slot.Secondary}
	for name, tt := range map[string]struct {
		env   grub.Env
		there []slot.Name
		entry slot.Name
		words string
	}{
		"nothing said":        {nil, both, slot.Primary, ""},
		"a default":           {grub.Env{"saved_entry": "SECONDARY"}, both, slot.Secondary, ""},
		"debugging":           {grub.Env{"saved_entry": "SECONDARY-DEBUG"}, both, slot.Secondary, ""},
		"its files are gone":  {grub.Env{"saved_entry": "SECONDARY"}, []slot.Name{slot.Primary}, slot.Primary, ""},
		"a trial":             {grub.Env{"saved_entry": "PRIMARY", "esos_next": "SECONDARY", "esos_tries": "2"}, both, slot.Secondary, "esos_trial"},
		"its last try":        {grub.Env{"saved_entry": "PRIMARY", "esos_next": "SECONDARY", "esos_tries": "1"}, both, slot.Secondary, "esos_trial"},
		"a way back":          {grub.Env{"esos_next": "SECONDARY", "esos_tries": "1", "esos_settings": "slot"}, both, slot.Secondary, "esos_trial esos_settings=slot"},
		"it failed":           {grub.Env{"esos_next": "SECONDARY", "esos_tries": "0"}, both, slot.Primary, "esos_fell_back=SECONDARY esos_settings=slot"},
		"no number":           {grub.Env{"esos_next": "SECONDARY", "esos_tries": "many"}, both, slot.Primary, "esos_fell_back=SECONDARY esos_settings=slot"},
		"a trial of nothing":  {grub.Env{"esos_next": "SECONDARY", "esos_tries": "2"}, []slot.Name{slot.Primary}, slot.Primary, "esos_fell_back=SECONDARY esos_settings=slot"},
		"a trial of no slot":  {grub.Env{"esos_next": "TERTIARY", "esos_tries": "2"}, both, slot.Primary, ""},
		"only the one failed": {grub.Env{"saved_entry": "PRIMARY", "esos_next": "SECONDARY", "esos_tries": "0"}, []slot.Name{slot.Secondary}, slot.Secondary, ""},
	} {
		m := Menu{Env: tt.env, Files: map[slot.Name]map[string]File{}}
		for _, s := range tt.there {
			m.Files[s] = map[string]File{slot.KernelFile: {Size: 1}, slot.InitrdFile: {Size: 1}}
		}
		if entry, words := m.Next(); entry != tt.entry || strings.Join(words, " ") != tt.words {
			t.Errorf("%s: %s with %q, want %s with %q", name, entry, words, tt.entry, tt.words)
		}
	}
	m := Menu{Files: map[slot.Name]map[string]File{slot.Primary: {slot.KernelFile: {5, "k"}, slot.InitrdFile: {5, "i"}}}}
	parts := []slot.Part{{Name: slot.InitrdFile, SHA256: "i"}, {Name: slot.KernelFile, SHA256: "k"}}
	if err := m.Check(slot.Primary, slot.Manifest{Parts: parts}); err != nil {
		t.Error(err)
	}
	other := slices.Clone(parts)
	other[1].SHA256 = "another"
	for what, parts := range map[string][]slot.Part{"another kernel": other, "no kernel": parts[:1]} {
		if m.Check(slot.Primary, slot.Manifest{Parts: parts}) == nil {
			t.Errorf("%s counts as that of the slot", what)
		}
	}
}
