// Package words keeps what a kernel's tree of objects has no place for, a
// small file an object: the names of portals, the order of groups. Words
// explain what the tree says and never overrule it; all of them may be lost.
package words

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Store is a directory of words, with one below it for each kind of object.
type Store struct {
	Dir   string
	Kinds []string
}

// Open makes the directories that are missing.
func (s Store) Open() error {
	for _, kind := range s.Kinds {
		if err := os.MkdirAll(filepath.Join(s.Dir, kind), 0o700); err != nil {
			return fmt.Errorf("make the directory of what the kernel cannot keep: %w", err)
		}
	}
	return nil
}

// Clear forgets all words.
func (s Store) Clear() error {
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("forget what the kernel cannot keep: %w", err)
	}
	return s.Open()
}

func (s Store) path(kind, name string) string {
	return filepath.Join(s.Dir, kind, strings.ReplaceAll(name, "/", "_")+".json")
}

// Get reads an object's words; false if there are none, or they are damaged.
func (s Store) Get(kind, name string, into any) (bool, error) {
	b, err := os.ReadFile(s.path(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the words of %s: %w", name, err)
	}
	return json.Unmarshal(b, into) == nil, nil
}

// Put writes an object's words, unless they are there.
func (s Store) Put(kind, name string, words any) error {
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
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep the words of %s: %w", name, err)
	}
	return nil
}

// Remove forgets an object's words.
func (s Store) Remove(kind, name string) error {
	if err := os.Remove(s.path(kind, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the words of %s: %w", name, err)
	}
	return nil
}

// All reads the words of every object of a kind, in the order of their files.
func All[T any](s Store, kind string) ([]T, error) {
	entries, err := os.ReadDir(filepath.Join(s.Dir, kind))
	if err != nil {
		return nil, fmt.Errorf("read what the kernel cannot keep: %w", err)
	}
	var out []T
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		var v T
		if ok, err := s.Get(kind, name, &v); err != nil {
			return nil, err
		} else if ok {
			out = append(out, v)
		}
	}
	return out, nil
}
