package raidcli

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// choice is the program that was found, and the libraries that came with it.
type choice struct {
	where   string // the way to it, for people
	file    *os.File
	object  object
	library map[string]*os.File // by the names that they need
	links   map[string]string   // more names of these
}

// choose takes the program for this kind of machine out of what the archives
// hold. Vendors ship one for every system they know.
func choose(t Tool, trees []*tree) (choice, error) {
	type candidate struct {
		tree *tree
		name string
		object
	}
	var good []candidate
	var seen []string
	for _, tr := range trees {
		for name, f := range tr.files {
			if !slices.Contains(t.files, path.Base(name)) {
				continue
			}
			o, err := readELF(f)
			switch {
			case err != nil:
				seen = append(seen, fmt.Sprintf("%s: %s, which is %s", tr.where, name, err))
			case !o.program:
				seen = append(seen, fmt.Sprintf("%s: %s, which is a library", tr.where, name))
			default:
				good = append(good, candidate{tr, name, o})
			}
		}
	}
	if len(good) == 0 {
		slices.Sort(seen)
		if len(seen) == 0 {
			return choice{}, fmt.Errorf("no %s for x86-64 Linux: no program of that name, in it or in the archives that it holds", t.Name)
		}
		return choice{}, fmt.Errorf("no %s for x86-64 Linux, only %s", t.Name, strings.Join(seen, "; "))
	}
	best := slices.MinFunc(good, func(a, b candidate) int {
		pathA, pathB := a.tree.where+": "+a.name, b.tree.where+": "+b.name
		return cmp.Or(cmp.Compare(rank(pathA), rank(pathB)), cmp.Compare(pathA, pathB))
	})
	c := choice{where: best.tree.where + ": " + best.name, file: best.tree.files[best.name], object: best.object}
	c.takeLibraries(best.tree, path.Dir(best.name))
	return c, nil
}

// rank says how likely the file at a path is meant for Debian on x86-64: what
// has its own word for another system comes last, though it may be an x86-64
// ELF file that even starts.
func rank(where string) int {
	where = strings.ToLower(where)
	for _, other := range []string{"vmware", "esx", "freebsd", "solaris", "windows", "uefi", "/efi/", "aarch64", "arm64", "ppc64", "debug"} {
		if strings.Contains(where, other) {
			return 2
		}
	}
	// Linked statically, where there is a choice: it needs nothing of ours.
	if strings.Contains(where, "static") {
		return 0
	}
	return 1
}

// takeLibraries takes what lies beside the program, since some load their
// libraries without saying so in their headers, and whatever it needs of the
// rest of the tree.
func (c *choice) takeLibraries(t *tree, dir string) {
	c.library, c.links = map[string]*os.File{}, map[string]string{}
	objects := map[string]object{}
	for name, f := range t.files {
		if o, err := readELF(f); err == nil && !o.program && isLibrary(path.Base(name)) {
			objects[name] = o
		}
	}
	names := make([]string, 0, len(objects))
	for name := range objects {
		names = append(names, name)
	}
	slices.Sort(names)
	todo := slices.Clone(c.object.needed)
	take := func(name string) {
		base := path.Base(name)
		if c.library[base] != nil {
			return
		}
		c.library[base] = t.files[name]
		o := objects[name]
		if o.soname != "" && path.Base(o.soname) == o.soname && o.soname != base {
			c.links[o.soname] = base
		}
		todo = append(todo, o.needed...)
	}
	for _, name := range names {
		if path.Dir(name) == dir {
			take(name)
		}
	}
	for len(todo) > 0 {
		need := todo[0]
		todo = todo[1:]
		if name := provider(need, t, names, objects); name != "" {
			take(name)
			if base := path.Base(name); need != base && path.Base(need) == need {
				c.links[need] = base
			}
		}
	}
	for link, target := range t.links {
		base, to := path.Base(link), path.Base(target)
		if path.Dir(link) == dir && isLibrary(base) && c.library[to] != nil && t.files[target] != nil && base != to {
			c.links[base] = to
		}
	}
	for name := range c.library {
		delete(c.links, name)
	}
}

// provider is the library of a tree that has a name: its file's, its own, or
// that of a link to it.
func provider(need string, t *tree, names []string, objects map[string]object) string {
	for _, name := range names {
		if path.Base(name) == need || objects[name].soname == need {
			return name
		}
	}
	links := make([]string, 0, len(t.links))
	for link := range t.links {
		links = append(links, link)
	}
	slices.Sort(links)
	for _, link := range links {
		if _, ok := objects[t.links[link]]; ok && path.Base(link) == need {
			return t.links[link]
		}
	}
	return ""
}
