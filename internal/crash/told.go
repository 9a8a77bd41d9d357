package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// Paths of what the daemon knows of crashes without touching the medium.
const (
	// FoundPath has the dumps that were on the medium when it was looked at last.
	FoundPath = "/run/esos/crashes.json"
	// SeenPath has the names of those that somebody has seen to; it is saved
	// with the settings.
	SeenPath = "/var/lib/esos/crashes.json"
)

// ReadFound reads the dumps that were found; none if nobody looked yet.
func ReadFound(path string) ([]Dump, error) {
	var list []Dump
	return list, readJSON(path, &list)
}

// WriteFound leaves word of the dumps that were found.
func WriteFound(path string, list []Dump) error { return writeJSON(path, list) }

// ReadSeen reads the names of the dumps that somebody has seen to.
func ReadSeen(path string) ([]string, error) {
	var list []string
	return list, readJSON(path, &list)
}

// See adds names to those that somebody has seen to. Those of dumps that are
// not there any more are forgotten.
func See(path string, names []string, there []Dump) error {
	seen, err := ReadSeen(path)
	if err != nil {
		seen = nil // written anew: at worst somebody is told twice
	}
	seen = slices.DeleteFunc(append(seen, names...), func(name string) bool {
		return !slices.ContainsFunc(there, func(d Dump) bool { return d.Name == name })
	})
	slices.Sort(seen)
	return writeJSON(path, slices.Compact(seen))
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read which crashes are known: %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err == nil {
		err = host.MakeDir(filepath.Dir(path), 0o711)
	}
	if err == nil {
		err = renameio.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err == nil {
		err = host.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("note which crashes are known: %w", err)
	}
	return nil
}
