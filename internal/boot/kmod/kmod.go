// Package kmod loads kernel modules as modprobe does, from the lists that
// depmod made: by name or by a device's alias, with what they need, and with
// the parameters that the kernel's command line has for them. It loads what
// can be loaded side by side at the same time, which modprobe does not, and is
// a fraction of the size of a library that unpacks modules itself: the kernel
// does that.
package kmod

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Set is the modules of a kernel that are there to be loaded.
type Set struct {
	dir     string
	modules map[string]*module // by name
	builtin map[string]bool
	aliases aliases
}

type module struct {
	name      string
	file      string   // below dir
	needs     []string // names; they come first
	pre, post []string // names or aliases; it is no error that they are missing
	args      string
}

// Open reads the lists in dir, /lib/modules/RELEASE. parameters are words of
// the kernel's command line; those of the form MODULE.NAME=VALUE are kept for
// that module, the others are passed over.
func Open(dir string, parameters []string) (*Set, error) {
	s := &Set{dir: dir, modules: map[string]*module{}, builtin: map[string]bool{}}
	if err := s.readDependencies(); err != nil {
		return nil, fmt.Errorf("read the lists of kernel modules: %w", err)
	}
	for _, list := range []struct {
		name string
		take func(line string)
	}{
		{"modules.builtin", func(line string) { s.builtin[nameOf(line)] = true }},
		{"modules.softdep", s.takeSoftDependency},
		{"modules.alias", s.takeAlias},
	} {
		// A kernel may have none of them.
		if err := eachLine(filepath.Join(dir, list.name), list.take); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the lists of kernel modules: %w", err)
		}
	}
	for _, word := range parameters {
		s.takeParameter(word)
	}
	return s, nil
}

// Match returns the names of the modules for a device's modalias, or for any
// other alias.
func (s *Set) Match(alias string) []string { return s.aliases.match(alias) }

// Has tells whether the module is in the set, or built into the kernel.
func (s *Set) Has(name string) bool {
	name = nameOf(name)
	return s.modules[name] != nil || s.builtin[name]
}

// readDependencies reads lines of the form "FILE: FILE FILE".
func (s *Set) readDependencies() error {
	return eachLine(filepath.Join(s.dir, "modules.dep"), func(line string) {
		file, needs, ok := strings.Cut(line, ":")
		if !ok {
			return
		}
		m := &module{name: nameOf(file), file: file}
		for _, need := range strings.Fields(needs) {
			m.needs = append(m.needs, nameOf(need))
		}
		s.modules[m.name] = m
	})
}

// takeSoftDependency reads "softdep NAME pre: A B post: C".
func (s *Set) takeSoftDependency(line string) {
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "softdep" || s.modules[nameOf(f[1])] == nil {
		return
	}
	m := s.modules[nameOf(f[1])]
	list := &m.pre
	for _, word := range f[2:] {
		switch word {
		case "pre:":
			list = &m.pre
		case "post:":
			list = &m.post
		default:
			*list = append(*list, nameOf(word))
		}
	}
}

// takeAlias reads "alias PATTERN NAME".
func (s *Set) takeAlias(line string) {
	if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" && s.modules[nameOf(f[2])] != nil {
		s.aliases.add(f[1], nameOf(f[2]))
	}
}

func (s *Set) takeParameter(word string) {
	key, value, valued := strings.Cut(word, "=")
	name, parameter, ok := strings.Cut(key, ".")
	m := s.modules[nameOf(name)]
	if !ok || m == nil {
		return
	}
	if strings.Contains(value, " ") {
		value = `"` + value + `"`
	}
	if valued {
		parameter += "=" + value
	}
	m.args = strings.TrimSpace(m.args + " " + parameter)
}

// resolve returns the modules that a name or an alias stands for.
func (s *Set) resolve(name string) []*module {
	if m := s.modules[nameOf(name)]; m != nil {
		return []*module{m}
	}
	var list []*module
	for _, n := range s.Match(name) {
		list = append(list, s.modules[n])
	}
	return list
}

// softly returns the soft dependencies of m of one kind, without those that
// depend on m themselves: whoever waited for them would wait for ever.
func (s *Set) softly(m *module, names []string) []*module {
	var list []*module
	for _, name := range names {
		for _, d := range s.resolve(name) {
			if !s.reaches(d, m, map[*module]bool{}) {
				list = append(list, d)
			}
		}
	}
	return list
}

func (s *Set) reaches(from, to *module, seen map[*module]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, name := range slices.Concat(from.needs, from.pre, from.post) {
		for _, d := range s.resolve(name) {
			if s.reaches(d, to, seen) {
				return true
			}
		}
	}
	return false
}

// nameOf is a module's name as the kernel has it: without folder and suffixes,
// and with _ for -.
func nameOf(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, suffix := range []string{".xz", ".zst", ".gz", ".ko"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return strings.ReplaceAll(name, "-", "_")
}

func eachLine(name string, take func(line string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			take(line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
