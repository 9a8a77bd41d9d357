package kmod

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
)

// Loader loads modules of a set, each once, and any number of them at a time.
type Loader struct {
	set  *Set
	load func(file, args string) error

	mu     sync.Mutex
	begun  map[string]*loading
	loaded []string // names, in the order in which they came in
}

// loading is a module on its way in, or there.
type loading struct {
	done chan struct{}
	err  error // valid after done
}

// NewLoader returns a loader that has nothing loaded yet. load puts the code
// in a file into the kernel.
func NewLoader(set *Set, load func(file, args string) error) *Loader {
	return &Loader{set: set, load: load, begun: map[string]*loading{}}
}

// Load loads the module of that name, with what it needs first, and returns
// when it is there. What is built in or loaded already is fine.
func (l *Loader) Load(name string) error {
	if m := l.set.modules[nameOf(name)]; m != nil {
		return l.one(m)
	}
	if l.set.builtin[nameOf(name)] {
		return nil
	}
	return fmt.Errorf("load module %s: it is not among the modules of this kernel in %s", name, l.set.dir)
}

// LoadAlias loads the modules whose aliases match a device's modalias. No
// match is no error: most devices have no module here.
func (l *Loader) LoadAlias(modalias string) error {
	var list []*module
	for _, name := range l.set.Match(modalias) {
		list = append(list, l.set.modules[name])
	}
	return l.all(list)
}

// Loaded returns the names of the modules that were loaded, in order.
func (l *Loader) Loaded() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.loaded...)
}

// one loads m unless somebody did or does, and waits for the end of it.
func (l *Loader) one(m *module) error {
	l.mu.Lock()
	c := l.begun[m.name]
	if c != nil {
		l.mu.Unlock()
		<-c.done
		return c.err
	}
	c = &loading{done: make(chan struct{})}
	l.begun[m.name] = c
	l.mu.Unlock()
	c.err = l.insert(m)
	close(c.done)
	return c.err
}

// insert loads m's dependencies, then m.
func (l *Loader) insert(m *module) error {
	var needs []*module
	for _, name := range m.needs {
		n := l.set.modules[name]
		if n == nil {
			return fmt.Errorf("load module %s: it needs %s, which is not there", m.name, name)
		}
		needs = append(needs, n)
	}
	// Those before it serve it better (a quicker checksum), nothing else.
	_ = l.all(l.set.softly(m, m.pre))
	if err := l.all(needs); err != nil {
		return fmt.Errorf("load module %s: %w", m.name, err)
	}
	err := l.load(filepath.Join(l.set.dir, m.file), m.args)
	if err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("load module %s: %w", m.name, err)
	}
	l.mu.Lock()
	l.loaded = append(l.loaded, m.name)
	l.mu.Unlock()
	_ = l.all(l.set.softly(m, m.post))
	return nil
}

// all loads modules side by side.
func (l *Loader) all(list []*module) error {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return l.one(list[0])
	}
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, m := range list {
		wg.Go(func() { errs[i] = l.one(m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
