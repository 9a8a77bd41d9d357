package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// record is what is remembered of a step that was done.
type record struct {
	Inputs  string   `json:"inputs"` // digest of all that it depended on
	Outputs []string `json:"outputs"`
}

// step does do unless it was done with the same inputs and its outputs are
// still there. A step that failed half-way is not remembered.
func (b *builder) step(ctx context.Context, name string, inputs any, outputs []string, do func(context.Context) error) error {
	digest, err := digestOf(inputs)
	if err != nil {
		return err
	}
	if b.done(name, digest) {
		b.Progress.Skip()
		return nil
	}
	path := b.recordPath(name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	text, err := json.Marshal(record{Inputs: digest, Outputs: outputs})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func (b *builder) recordPath(name string) string {
	return filepath.Join(b.Work, "steps", name+".json")
}

func (b *builder) done(name, digest string) bool {
	text, err := os.ReadFile(b.recordPath(name))
	if err != nil {
		return false
	}
	var r record
	if json.Unmarshal(text, &r) != nil || r.Inputs != digest {
		return false
	}
	for _, path := range r.Outputs {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// inputsOf returns the digest of an earlier step's inputs: what was made of
// the same is the same.
func (b *builder) inputsOf(name string) (string, error) {
	text, err := os.ReadFile(b.recordPath(name))
	if err != nil {
		return "", err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return "", fmt.Errorf("read what step %s was made of: %w", name, err)
	}
	return r.Inputs, nil
}

func digestOf(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// digestFile is the SHA-256 of a file in hex.
func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestTree is a digest of the names, kinds and contents of all files below a
// root.
func digestTree(root fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s\x00%v\x00", path, d.Type())
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%d\x00", len(data))
		h.Write(data)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// lockDir keeps a second build out of the directory: both would write the same
// files.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another build works in %s: wait for it, or give another --work", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}
