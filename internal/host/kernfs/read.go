package kernfs

import (
	"errors"
	"io/fs"
	"strings"
)

// Reader is a tree as far as it is read.
type Reader interface {
	ReadFile(path string) (string, error)
	ReadDir(path string) ([]string, error)
}

// Exists says whether there is an object.
func Exists(r Reader, path string) (bool, error) {
	_, err := r.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// List names what is in an object; nothing if it is not there.
func List(r Reader, path string) ([]string, error) {
	names, err := r.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// Read reads a setting without the newline that the kernel puts behind it.
func Read(r Reader, path string) (string, error) {
	text, err := r.ReadFile(path)
	return strings.TrimSuffix(text, "\n"), err
}
