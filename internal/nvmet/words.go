package nvmet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// store keeps the words that the kernel's tree has no place for, a file an
// object. That there is one says that the object is ours: it is written before
// the object is made. They explain what the tree says and never overrule it;
// all of them may be lost.
type store struct{ dir string }

// Kinds of words.
const (
	portWords      = "ports"
	subsystemWords = "subsystems"
	hostWords      = "hosts"
)

// words are those of an object.
type words struct {
	Name string `json:"name"`
	// InCapsuleSize is what was asked for: the kernel writes the transport's
	// default into the setting when it opens the port.
	InCapsuleSize int `json:"in_capsule_size,omitempty"`
	// Sizes are those that hosts were told, by namespace.
	Sizes map[int]int64 `json:"sizes,omitempty"`
}

func (s store) open() error {
	for _, kind := range []string{portWords, subsystemWords, hostWords} {
		if err := os.MkdirAll(filepath.Join(s.dir, kind), 0o700); err != nil {
			return fmt.Errorf("make the directory of what the kernel cannot keep: %w", err)
		}
	}
	return nil
}

func (s store) path(kind, name string) string {
	return filepath.Join(s.dir, kind, strings.ReplaceAll(name, "/", "_")+".json")
}

// get reads an object's words; false if there are none, or they are damaged.
func (s store) get(kind, name string) (words, bool, error) {
	w := words{Name: name}
	b, err := os.ReadFile(s.path(kind, name))
	if errors.Is(err, fs.ErrNotExist) {
		return w, false, nil
	}
	if err != nil {
		return w, false, fmt.Errorf("read the words of %s: %w", name, err)
	}
	if json.Unmarshal(b, &w) != nil || w.Name != name {
		return words{Name: name}, false, nil
	}
	return w, true, nil
}

// put writes an object's words, unless they are there.
func (s store) put(kind string, w words) error {
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("keep the words of %s: %w", w.Name, err)
	}
	path := s.path(kind, w.Name)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(b) {
		return nil
	}
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("keep the words of %s: %w", w.Name, err)
	}
	return os.Rename(path+".new", path)
}

func (s store) remove(kind, name string) error {
	if err := os.Remove(s.path(kind, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setSize keeps the size that hosts were told of a namespace; 0 forgets it.
func (s store) setSize(nqn string, nsid int, size int64) error {
	w, _, err := s.get(subsystemWords, nqn)
	if err != nil {
		return err
	}
	if w.Sizes == nil {
		w.Sizes = map[int]int64{}
	}
	w.Sizes[nsid] = size
	if size == 0 {
		delete(w.Sizes, nsid)
	}
	return s.put(subsystemWords, w)
}
