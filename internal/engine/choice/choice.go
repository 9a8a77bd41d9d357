// Package choice is the engine that the document names: it starts one of
// several, passes everything on to it, and changes to another one as long as
// nothing is served.
package choice

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// Serving is an engine that was started.
type Serving interface {
	engine.Engine
	// Stop ends serving; Close lets what is served be served on.
	Stop(ctx context.Context) error
	Close() error
	// TookUp reports whether something was served already when it started.
	TookUp() bool
}

// Maker is an engine that can be started.
type Maker struct {
	Supports func(d *config.Document) []error
	Start    func(ctx context.Context) (Serving, error)
}

// Engine is the one that was chosen last. Use must be called before anything
// else.
type Engine struct {
	makers map[string]Maker
	note   string

	mu        sync.RWMutex
	current   Serving
	end       context.CancelFunc // ends listening to current
	listeners []*listener
}

// listener is one reader of events, whoever serves.
type listener struct {
	ctx  context.Context // of the reader: it outlives engines
	out  chan engine.Event
	work sync.WaitGroup
}

var _ engine.Engine = (*Engine)(nil)

// ErrNone is what is said before the first Use, and after Stop.
var ErrNone = errors.New("no engine was chosen")

// New makes the choice of some engines. note is a file that names the one in use
// for as long as what it serves can last: until the next boot.
func New(makers map[string]Maker, note string) *Engine { return &Engine{makers: makers, note: note} }

// Use starts an engine in place of the one that is in use, which must serve
// nothing. If it cannot be started, the old one is in use again.
func (c *Engine) Use(ctx context.Context, name string) error { return c.use(ctx, name, false) }

// Replace is Use, but that the engine in use may serve: all of that ends. If
// the new one cannot be started, the old one serves nothing.
func (c *Engine) Replace(ctx context.Context, name string) error { return c.use(ctx, name, true) }

func (c *Engine) use(ctx context.Context, name string, end bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.Name() == name {
		return nil
	}
	m, ok := c.makers[name]
	if !ok {
		return fmt.Errorf("use engine %s: there is none of that name in this program; it has %s", name, strings.Join(slices.Sorted(maps.Keys(c.makers)), ", "))
	}
	old := ""
	if c.current == nil {
		if err := c.clearAway(ctx, name); err != nil {
			return fmt.Errorf("use engine %s: %w", name, err)
		}
	} else {
		old = c.current.Name()
		if err := c.leave(ctx, end); err != nil {
			return fmt.Errorf("use engine %s instead of %s: %w", name, old, err)
		}
	}
	err := c.begin(ctx, m, name)
	if err != nil && old != "" {
		return errors.Join(fmt.Errorf("use engine %s: %w", name, err), c.begin(ctx, c.makers[old], old))
	}
	if err != nil {
		return fmt.Errorf("use engine %s: %w", name, err)
	}
	return nil
}

// clearAway ends what another engine serves that a daemon before us used last: it
// was killed in the middle of a change of engines. Two of them on one disk know
// nothing of each other's reservations and caches. The caller holds mu.
func (c *Engine) clearAway(ctx context.Context, name string) error {
	text, err := os.ReadFile(c.note)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read which engine was used last: %w", err)
	}
	m, known := c.makers[string(text)]
	if string(text) == name || !known {
		return nil
	}
	s, err := m.Start(ctx)
	if err == nil {
		err = s.Stop(ctx)
	}
	if err != nil {
		return fmt.Errorf("end what engine %s serves since a change of engines was cut off: %w (if it serves nothing, remove %s)", text, err, c.note)
	}
	return nil
}

// leave ends the engine that is in use, and what it serves if that is to end.
// The caller holds mu.
func (c *Engine) leave(ctx context.Context, end bool) error {
	s, err := c.current.Observe(ctx)
	if err != nil {
		return err
	}
	if Serves(s) && !end {
		return errors.New("it serves devices or targets, which would be cut off; take them out of the document first")
	}
	if err := c.current.Stop(ctx); err != nil {
		return err
	}
	c.end()
	c.current = nil
	return nil
}

// Serves says whether somebody would miss what an engine serves. What others
// set up goes on whoever serves.
func Serves(s engine.State) bool {
	return len(s.Devices)+len(s.Targets)+len(s.DeviceGroups) > len(s.Foreign)
}

// begin starts an engine, and has all listeners listen to it. The caller holds mu.
func (c *Engine) begin(ctx context.Context, m Maker, name string) error {
	err := os.MkdirAll(filepath.Dir(c.note), 0o755)
	if err == nil {
		err = renameio.WriteFile(c.note, []byte(name), 0o600)
	}
	if err != nil {
		return fmt.Errorf("note which engine is used: %w", err)
	}
	s, err := m.Start(ctx)
	if err != nil {
		return err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	c.current, c.end = s, end
	for _, l := range c.listeners {
		if err := l.listen(life, s); err != nil {
			return err
		}
	}
	return nil
}

// listen passes an engine's events on until life or the reader ends.
func (l *listener) listen(life context.Context, s Serving) error {
	if l.ctx.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(life)
	stop := context.AfterFunc(l.ctx, cancel)
	in, err := s.Events(ctx)
	if err != nil {
		stop()
		cancel()
		return err
	}
	l.work.Go(func() {
		defer cancel()
		defer stop()
		for e := range in {
			select {
			case l.out <- e:
			case <-l.ctx.Done():
			}
		}
	})
	return nil
}

// Events implements engine.Engine: they are those of whoever serves.
func (c *Engine) Events(ctx context.Context) (<-chan engine.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &listener{ctx: ctx, out: make(chan engine.Event)}
	if c.current != nil {
		life, end := context.WithCancel(context.Background())
		before := c.end
		c.end = func() { before(); end() }
		if err := l.listen(life, c.current); err != nil {
			end()
			return nil, err
		}
	}
	c.listeners = append(c.listeners, l)
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		c.listeners = slices.DeleteFunc(c.listeners, func(o *listener) bool { return o == l })
		c.mu.Unlock()
		l.work.Wait()
		close(l.out)
	})
	return l.out, nil
}

// Stop ends serving, Close lets go. The choice is of no use after.
func (c *Engine) Stop(ctx context.Context) error {
	return c.part(func(s Serving) error { return s.Stop(ctx) })
}

// Close lets go of the engine, which serves on.
func (c *Engine) Close() error { return c.part(Serving.Close) }

func (c *Engine) part(how func(Serving) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil
	}
	err := how(c.current)
	c.end()
	c.current = nil
	return err
}

// TookUp reports whether something was served already when the engine started.
func (c *Engine) TookUp() bool {
	s, err := c.serving()
	return err == nil && s.TookUp()
}

// Name is that of the engine that is in use; "" before the first one.
func (c *Engine) Name() string {
	s, err := c.serving()
	if err != nil {
		return ""
	}
	return s.Name()
}

// Supports is answered by the engine that the document names; if it is the one
// that serves, it can look at what there is.
func (c *Engine) Supports(d *config.Document) []error {
	m, ok := c.makers[d.EngineName()]
	if s, err := c.serving(); err == nil && ok && s.Name() == d.EngineName() {
		return s.Supports(d)
	}
	if !ok {
		return []error{fmt.Errorf("there is no engine %q in this program; it has %s", d.EngineName(), strings.Join(slices.Sorted(maps.Keys(c.makers)), ", "))}
	}
	return m.Supports(d)
}

func (c *Engine) serving() (Serving, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.current == nil {
		return nil, ErrNone
	}
	return c.current, nil
}
