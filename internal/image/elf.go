package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// programFiles returns the paths, below root, of programs, their loaders and
// all the libraries that they need, sorted. Libraries that a program opens by
// name while it runs (dlopen) are not found so.
func programFiles(root string, programs []string) ([]string, error) {
	seen := map[string]bool{}
	var add func(rel string) error
	add = func(rel string) error {
		if seen[rel] {
			return nil
		}
		seen[rel] = true
		f, err := elf.Open(filepath.Join(root, rel))
		if err != nil {
			return fmt.Errorf("read %s: %w", rel, err)
		}
		defer f.Close()
		needs, err := f.ImportedLibraries()
		if err != nil {
			return fmt.Errorf("read what %s needs: %w", rel, err)
		}
		if loader := interpreter(f); loader != "" {
			needs = append(needs, filepath.Base(loader))
		}
		for _, name := range needs {
			lib, err := findLibrary(root, name)
			if err != nil {
				return fmt.Errorf("%s: %w", rel, err)
			}
			if err := add(lib); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range programs {
		if err := add(p); err != nil {
			return nil, err
		}
	}
	list := make([]string, 0, len(seen))
	for rel := range seen {
		list = append(list, rel)
	}
	slices.Sort(list)
	return list, nil
}

// programLoaders are the loaders that the kernel starts the programs with, by
// the path that the programs name, and the file in the root that each is.
func programLoaders(root string, programs []string) (map[string]string, error) {
	loaders := map[string]string{}
	for _, p := range programs {
		f, err := elf.Open(filepath.Join(root, p))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", p, err)
		}
		loader := interpreter(f)
		if err := f.Close(); err != nil {
			return nil, err
		}
		if loader == "" || loaders[loader] != "" {
			continue
		}
		if loaders[loader], err = findLibrary(root, filepath.Base(loader)); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return loaders, nil
}

// interpreter is the loader that a program names, "" for a library.
func interpreter(f *elf.File) string {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		data := make([]byte, p.Filesz)
		if _, err := p.ReadAt(data, 0); err != nil || len(data) == 0 {
			return ""
		}
		return string(data[:len(data)-1])
	}
	return ""
}

// libraryDirs are where Debian's loader looks for libraries.
var libraryDirs = []string{libraries, "usr/lib", "usr/lib64", "usr/lib/systemd"}

func findLibrary(root, name string) (string, error) {
	for _, dir := range libraryDirs {
		rel := filepath.Join(dir, name)
		if _, err := os.Stat(filepath.Join(root, rel)); err == nil {
			return rel, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("needs the library %s, which the root does not have", name)
}
