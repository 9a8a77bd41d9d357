package image

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// moduleTree is a kernel's modules in a root: their files and what each needs,
// as depmod left it in modules.dep.
type moduleTree struct {
	dir     string              // ROOT/usr/lib/modules/RELEASE
	needs   map[string][]string // by path below dir
	byName  map[string]string   // name with _ for - to path
	builtin map[string]bool
	soft    map[string][]string // name to names, from modules.softdep
}

func openModules(root, release string) (*moduleTree, error) {
	t := &moduleTree{dir: filepath.Join(root, "usr/lib/modules", release),
		needs: map[string][]string{}, byName: map[string]string{}, builtin: map[string]bool{}, soft: map[string][]string{}}
	err := eachLine(filepath.Join(t.dir, "modules.dep"), func(line string) {
		path, needs, ok := strings.Cut(line, ":")
		if !ok {
			return
		}
		t.needs[path] = strings.Fields(needs)
		t.byName[moduleName(path)] = path
	})
	if err != nil {
		return nil, fmt.Errorf("read the modules of kernel %s: %w", release, err)
	}
	err = eachLine(filepath.Join(t.dir, "modules.builtin"), func(line string) { t.builtin[moduleName(line)] = true })
	if err != nil {
		return nil, fmt.Errorf("read the modules of kernel %s: %w", release, err)
	}
	// "softdep NAME pre: A B post: C"; a kernel may have none.
	err = eachLine(filepath.Join(t.dir, "modules.softdep"), func(line string) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "softdep" {
			return
		}
		for _, name := range f[2:] {
			if !strings.HasSuffix(name, ":") {
				t.soft[moduleName(f[1])] = append(t.soft[moduleName(f[1])], moduleName(name))
			}
		}
	})
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read the modules of kernel %s: %w", release, err)
	}
	return t, nil
}

// moduleName is a module's name as the kernel has it: without folder and
// suffixes, with _ for -.
func moduleName(path string) string {
	name := filepath.Base(path)
	if i := strings.Index(name, ".ko"); i >= 0 {
		name = name[:i]
	}
	return strings.ReplaceAll(name, "-", "_")
}

// choose returns the files of the wanted modules and of all that they need,
// sorted. A name is a module's, or a folder below kernel/ when it ends in /.
func (t *moduleTree) choose(wanted []string) ([]string, error) {
	chosen := map[string]bool{}
	var add func(path string)
	add = func(path string) {
		if chosen[path] {
			return
		}
		chosen[path] = true
		for _, need := range t.needs[path] {
			add(need)
		}
		for _, name := range t.soft[moduleName(path)] {
			if p, ok := t.byName[name]; ok {
				add(p)
			}
		}
	}
	for _, w := range wanted {
		if folder, ok := strings.CutSuffix(w, "/"); ok {
			found := false
			for path := range t.needs {
				if strings.HasPrefix(path, "kernel/"+folder+"/") {
					found = true
					add(path)
				}
			}
			if !found {
				return nil, fmt.Errorf("the kernel has no modules below %s", w)
			}
			continue
		}
		path, ok := t.byName[moduleName(w)]
		switch {
		case ok:
			add(path)
		case !t.builtin[moduleName(w)]:
			return nil, fmt.Errorf("the kernel has no module %s", w)
		}
	}
	list := make([]string, 0, len(chosen))
	for path := range chosen {
		list = append(list, path)
	}
	slices.Sort(list)
	return list, nil
}

func eachLine(name string, do func(string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			do(line)
		}
	}
	return lines.Err()
}
