package image

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress tells people how far a build is: a line for each step, which on a
// terminal is rewritten as the step goes on.
type Progress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	steps    int

	number  int
	name    string
	said    string // the latest word of the step
	skipped bool
	start   time.Time
	stop    chan struct{}
	stopped chan struct{}
}

// NewProgress returns the progress of a build of some number of steps.
func NewProgress(out io.Writer, terminal bool, steps int) *Progress {
	return &Progress{out: out, terminal: terminal, steps: steps}
}

// Steps is how many steps Build has.
const Steps = 9

// tick is how often the line of a step is written anew: often on a terminal,
// in a log only so that a reader sees that it goes on.
func (p *Progress) tick() time.Duration {
	if p.terminal {
		return 200 * time.Millisecond
	}
	return 20 * time.Second
}

// Begin starts the next step.
func (p *Progress) Begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	p.name, p.said, p.skipped, p.start = name, "", false, time.Now()
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	if p.terminal {
		p.line("")
	}
	go p.watch(p.stop, p.stopped)
}

func (p *Progress) watch(stop, stopped chan struct{}) {
	defer close(stopped)
	t := time.NewTicker(p.tick())
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			p.mu.Lock()
			p.line("")
			p.mu.Unlock()
		}
	}
}

// Say replaces the latest word of the step.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = strings.TrimSpace(fmt.Sprintf(format, args...))
}

// Skip marks the step as unchanged.
func (p *Progress) Skip() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skipped = true
}

// End ends the step well.
func (p *Progress) End() {
	p.finish("")
}

// Fail ends it badly; the error says the rest.
func (p *Progress) Fail() { p.finish("failed") }

func (p *Progress) finish(how string) {
	close(p.stop)
	<-p.stopped
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case how != "":
	case p.skipped:
		how = "unchanged"
	default:
		how = "done"
	}
	p.line(how)
}

func (p *Progress) line(how string) {
	text := fmt.Sprintf("[%d/%d] %-10s %6s  ", p.number, p.steps, p.name, round(time.Since(p.start)))
	if how != "" && how != "done" {
		text += how
	} else {
		text += p.said
	}
	if !p.terminal {
		if how == "" {
			text += " ..."
		}
		fmt.Fprintln(p.out, strings.TrimRight(text, " "))
		return
	}
	end := ""
	if how != "" {
		end = "\n"
	}
	fmt.Fprintf(p.out, "\r%-78.78s%s", text, end)
}

func round(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
