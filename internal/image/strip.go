package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// strip removes from the root what the specification excludes, but what it
// keeps, and what packages' scripts made that no two machines may share. A
// pattern of the identities that matches nothing any more is no mistake:
// packages come and go. Files of ours stay whatever the patterns say.
func (b *builder) strip(ours fs.FS) error {
	keep := slices.Clone(b.Spec.Keep)
	err := fs.WalkDir(ours, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			keep = append(keep, escape(path))
		}
		return err
	})
	if err != nil {
		return err
	}
	return stripTree(b.tree(), slices.Concat(b.Spec.Exclude, b.Spec.Identities), keep)
}

// escape makes a pattern that matches a path and nothing else.
func escape(path string) string {
	return strings.NewReplacer("\\", "\\\\", "*", "\\*", "?", "\\?", "[", "\\[").Replace(path)
}

func stripTree(root string, exclude, keep []string) error {
	excluded := newPatterns(exclude)
	kept := newPatterns(keep)
	var dirs []string
	err := filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, full)
		if err != nil || rel == "." {
			return err
		}
		if !excluded.match(rel) {
			return nil
		}
		if !d.IsDir() {
			return removeUnlessKept(root, rel, kept)
		}
		if !kept.match(rel) && !kept.below(rel) {
			if err := os.RemoveAll(full); err != nil {
				return err
			}
			return fs.SkipDir
		}
		if !kept.match(rel) {
			dirs = append(dirs, full)
		}
		return filepath.WalkDir(full, func(inner string, d fs.DirEntry, err error) error {
			if err != nil || inner == full {
				return err
			}
			rel, err := filepath.Rel(root, inner)
			if err != nil {
				return err
			}
			if d.IsDir() {
				if !kept.match(rel) {
					dirs = append(dirs, inner)
				}
				return nil
			}
			return removeUnlessKept(root, rel, kept)
		})
	})
	if err != nil {
		return fmt.Errorf("strip the root: %w", err)
	}
	// Directories that are empty now go too, the deepest first.
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, os.ErrNotExist) && !notEmpty(err) {
			return fmt.Errorf("strip the root: %w", err)
		}
	}
	return nil
}

func removeUnlessKept(root, rel string, kept patterns) error {
	if kept.match(rel) {
		return nil
	}
	err := os.Remove(filepath.Join(root, rel))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// patterns are shell patterns of whole paths; one that begins with **/ is of
// names at any depth.
type patterns struct{ whole, names []string }

func newPatterns(list []string) patterns {
	var p patterns
	for _, one := range list {
		if name, ok := strings.CutPrefix(one, "**/"); ok {
			p.names = append(p.names, name)
		} else {
			p.whole = append(p.whole, one)
		}
	}
	return p
}

func (p patterns) match(rel string) bool {
	for _, pattern := range p.whole {
		if ok, err := path.Match(pattern, rel); err == nil && ok {
			return true
		}
	}
	for _, pattern := range p.names {
		if ok, err := path.Match(pattern, path.Base(rel)); err == nil && ok {
			return true
		}
	}
	return false
}

// below tells whether a pattern may match something below the directory rel.
func (p patterns) below(rel string) bool {
	if len(p.names) > 0 {
		return true
	}
	depth := strings.Count(rel, "/") + 1
	for _, pattern := range p.whole {
		parts := strings.Split(pattern, "/")
		if len(parts) <= depth {
			continue
		}
		if ok, err := path.Match(strings.Join(parts[:depth], "/"), rel); err == nil && ok {
			return true
		}
	}
	return false
}
