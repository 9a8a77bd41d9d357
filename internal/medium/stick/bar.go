package stick

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Bar shows progress to people: on a terminal a line that is rewritten, else a
// line for each step and one every now and then.
type Bar struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	step     string
	began    time.Time
	shown    time.Time
	open     bool // a line without an end
}

// NewBar returns a bar on out.
func NewBar(out io.Writer, terminal bool) *Bar { return &Bar{out: out, terminal: terminal} }

// How often a step's line is written.
const (
	terminalTick = 100 * time.Millisecond
	plainTick    = 10 * time.Second
)

// Progress is a Progress.
func (b *Bar) Progress(step string, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if step != b.step {
		b.end()
		b.step, b.began, b.shown = step, now, time.Time{}
	}
	tick := plainTick
	if b.terminal {
		tick = terminalTick
	}
	if now.Sub(b.shown) < tick && (done < total || total == 0) {
		return
	}
	b.shown = now
	b.show(done, total, now)
}

func (b *Bar) show(done, total int64, now time.Time) {
	text := b.step
	if total > 0 {
		text = fmt.Sprintf("%-28s %3d %%  %6.0f of %.0f MiB", b.step, done*100/total, float64(done)/(1<<20), float64(total)/(1<<20))
		if took := now.Sub(b.began).Seconds(); took > 0.5 {
			text += fmt.Sprintf("  %.1f MiB/s", float64(done)/(1<<20)/took)
			if done > 0 && done < total {
				text += fmt.Sprintf("  %s left", time.Duration(took*float64(total-done)/float64(done)*float64(time.Second)).Round(time.Second))
			}
		}
	}
	if !b.terminal {
		fmt.Fprintln(b.out, text)
		return
	}
	if total > 0 {
		const width = 20
		full := int(done * width / total)
		text = "[" + strings.Repeat("#", full) + strings.Repeat(" ", width-full) + "] " + text
	}
	fmt.Fprintf(b.out, "\r%-100.100s", text)
	b.open = true
}

// End ends the last line.
func (b *Bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
	b.step = ""
}

func (b *Bar) end() {
	if b.open {
		fmt.Fprintln(b.out)
		b.open = false
	}
}
