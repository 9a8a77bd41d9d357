package boot

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/boot/kmod"
)

// ModulesFile names the modules that are loaded at each boot, one a line, in
// this order: file systems, and what has no device that would ask for it.
const ModulesFile = "/etc/esos/modules"

// modules loads the modules of the machine's devices as they appear, and the
// configured ones, while the boot goes on.
type modules struct {
	*kmod.Loader
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	seen map[string]bool // modaliases
	busy int             // modules on their way in
	last time.Time       // when a device appeared or a module was loaded
}

// startModules begins to load modules. It waits for none of them: the next
// stage looks for the medium meanwhile, and a controller that takes seconds
// to wake holds up nobody who is not behind it.
func (b *Boot) startModules(ctx context.Context) error {
	set, err := kmod.Open(b.path(filepath.Join("/lib/modules", b.report.Kernel)), b.words)
	if err != nil {
		return fmt.Errorf("%w (does the initramfs belong to the kernel %s?)", err, b.report.Kernel)
	}
	list, err := configuredModules(b.path(ModulesFile))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	m := &modules{
		Loader: kmod.NewLoader(set, b.Linux.LoadModule),
		stop:   cancel, seen: map[string]bool{}, last: time.Now(),
	}
	// Listen first, then look: what appears in between is seen twice, not never.
	appear, err := b.Linux.Modaliases(ctx)
	if err != nil {
		cancel()
		return err
	}
	m.running.Go(func() {
		b.coldplug(m)
		for alias := range appear {
			if alias == "" {
				b.coldplug(m)
				continue
			}
			b.plug(m, alias)
		}
	})
	m.running.Go(func() {
		for _, name := range list {
			if err := m.Load(name); err != nil {
				b.Log.Error("a module of "+ModulesFile, "error", err)
			}
		}
	})
	b.modules = m
	return nil
}

// stopModules lets those that are on their way come in, and begins no others:
// from here on systemd's udev does this.
func (b *Boot) stopModules(context.Context) error {
	b.modules.stop()
	b.modules.running.Wait()
	b.report.Modules = b.modules.Loaded()
	return nil
}

// coldplug looks at all devices that are there. What has an alias is on a bus,
// and reading the buses' lists costs a fraction of a walk through /sys/devices.
func (b *Boot) coldplug(m *modules) {
	names, err := filepath.Glob(b.path("/sys/bus/*/devices/*/modalias"))
	if err != nil {
		return // the pattern is right
	}
	for _, name := range names {
		alias, err := os.ReadFile(name)
		if err != nil {
			continue // gone again
		}
		if a := strings.TrimSpace(string(alias)); a != "" {
			b.plug(m, a)
		}
	}
}

// plug begins to load what a device needs.
func (b *Boot) plug(m *modules, alias string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen[alias] {
		return
	}
	m.seen[alias] = true
	m.last = time.Now()
	m.busy++
	m.running.Go(func() {
		err := m.LoadAlias(alias)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.busy--
		m.last = time.Now()
		if err != nil {
			// A processor without the instructions, a device that is off: usual.
			b.Log.Debug("a device's module", "device", alias, "error", err)
		}
	})
}

// quiet tells for how long no device appeared and no module was loaded; 0
// while one is.
func (m *modules) quiet() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.busy > 0 {
		return 0
	}
	return time.Since(m.last)
}

// need loads modules by name, in order, or waits until they are loaded.
func (m *modules) need(names ...string) error {
	for _, name := range names {
		if err := m.Load(name); err != nil {
			return err
		}
	}
	return nil
}

func configuredModules(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return names, nil
}
