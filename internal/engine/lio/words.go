package lio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/attribute"
)

// store keeps the words that the kernel's tree has no place for, a file an
// object: the names of portals, the order of groups, which portals a target
// is limited to. They explain what the tree says and never overrule it; all of
// them may be lost.
type store struct{ dir string }

// targetWords are those of a target.
type targetWords struct {
	// Target is as it was put. Of its LUNs there are only those that cannot be
	// in the tree (a group without initiators), and those of dynamic ACLs,
	// which all are read-only if one of them is.
	Target config.Target `json:"target"`
	// Secrets are those of Target.Auth: its users' and then its mutual one.
	Secrets []string `json:"secrets,omitempty"`
	// Was holds the kernel's own values of what we set, by the file. Some
	// fabrics have none to set.
	Was map[string]string `json:"was"`
	// Attributes are words of the target's own attributes, ACLAttributes of
	// those of its groups.
	Attributes    attribute.Words `json:"attributes"`
	ACLAttributes attribute.Words `json:"acl_attributes"`

	kept bool // there are words: the target is ours
}

func (s store) open() error {
	for _, dir := range []string{"targets", "portals", "groups", deviceAttributes} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o700); err != nil {
			return fmt.Errorf("make the directory of what LIO cannot keep: %w", err)
		}
	}
	return nil
}

// clear forgets all words.
func (s store) clear() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return err
	}
	return s.open()
}

func (s store) path(kind, name string) string {
	return filepath.Join(s.dir, kind, strings.ReplaceAll(name, "/", "_")+".json")
}

// get reads an object's words; false if there are none, or they are damaged.
func (s store) get(kind, name string, into any) (bool, error) {
	b, err := os.ReadFile(s.path(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return json.Unmarshal(b, into) == nil, nil
}

// put writes an object's words, unless they are there.
func (s store) put(kind, name string, words any) error {
	b, err := json.Marshal(words)
	if err != nil {
		return fmt.Errorf("keep the words of %s: %w", name, err)
	}
	path := s.path(kind, name)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(b) {
		return nil
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("keep the words of %s: %w", name, err)
	}
	return os.Rename(path+".new", path)
}

func (s store) remove(kind, name string) error {
	if err := os.Remove(s.path(kind, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// all reads the words of every object of a kind, in the order of their files.
func all[T any](s store, kind string) ([]T, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return nil, err
	}
	var out []T
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		var v T
		if ok, err := s.get(kind, name, &v); err != nil {
			return nil, err
		} else if ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// target reads the words of a target; those of one without any are its name.
func (s store) target(p place) (targetWords, error) {
	bare := func() targetWords { return targetWords{Target: config.Target{Name: p.name, Driver: p.driver}} }
	w := bare()
	ok, err := s.get("targets", p.name, &w)
	if err != nil || !ok || w.Target.Name != p.name || w.Target.Driver != p.driver {
		return bare(), err
	}
	a := &w.Target.Auth
	want := len(a.Users)
	if a.Mutual != nil {
		want++
	}
	w.kept = true
	if len(w.Secrets) != want { // damaged: without them nobody logs in
		w = bare()
		w.kept = true
		return w, nil
	}
	for i := range a.Users {
		a.Users[i].Secret = config.Secret(w.Secrets[i])
	}
	if a.Mutual != nil {
		a.Mutual.Secret = config.Secret(w.Secrets[len(a.Users)])
	}
	return w, nil
}

// putTarget writes the words of a target. Secrets are hidden from JSON: they
// go beside it, into a file that only root reads.
func (s store) putTarget(w targetWords) error {
	w.Secrets = nil
	for _, u := range w.Target.Auth.Users {
		w.Secrets = append(w.Secrets, string(u.Secret))
	}
	if m := w.Target.Auth.Mutual; m != nil {
		w.Secrets = append(w.Secrets, string(m.Secret))
	}
	return s.put("targets", w.Target.Name, w)
}

// place is where the target is in the tree.
func (w *targetWords) place() place { return place{fabricOf(w.Target.Driver), w.Target.Name} }

// group returns a host group's words, nil if there are none.
func (w *targetWords) group(name string) *config.Group {
	for i := range w.Target.Groups {
		if w.Target.Groups[i].Name == name {
			return &w.Target.Groups[i]
		}
	}
	return nil
}

// luns is where the words of a LUN map are; nil without its group.
func (w *targetWords) luns(group string) *[]config.LUN {
	if group == "" {
		return &w.Target.LUNs
	}
	if g := w.group(group); g != nil {
		return &g.LUNs
	}
	return nil
}

// own is a target without its groups and LUNs.
func own(t config.Target) config.Target {
	t = t.WithDefaults()
	t.Groups, t.LUNs = nil, nil
	return t
}
