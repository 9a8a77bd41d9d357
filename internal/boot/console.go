package boot

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// LevelSay is for what people at a console should see of a boot that goes well.
const LevelSay = slog.LevelInfo + 2

// logPrefix is before each line, so that it is found in the kernel's log.
const logPrefix = "esos-init: "

// maxLine is what the kernel takes as one record, with room for its prefix.
const maxLine = 900

// KernelLog writes log records to the kernel's log, /dev/kmsg, where they
// stand among the kernel's own with the same clock, are kept for the running
// system's journal, and go to every console. Where the kernel was told to be
// quiet, what people should see is written to the consoles directly.
type KernelLog struct {
	root  string // put before the path of each file; "" but in tests
	attrs string
	out   *kernelLogFile
}

// kernelLogFile is shared by the handlers that were made of one.
type kernelLogFile struct {
	mu sync.Mutex
	f  *os.File
}

// NewKernelLog returns a handler that opens /dev/kmsg with the first record.
func NewKernelLog(root string) *KernelLog { return &KernelLog{root: root, out: &kernelLogFile{}} }

// Enabled lets everything through: the kernel decides what it shows.
func (h *KernelLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is slog.Handler's.
func (h *KernelLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	for _, a := range attrs {
		with.attrs += attrText(a)
	}
	return &with
}

// WithGroup is slog.Handler's; nobody groups here.
func (h *KernelLog) WithGroup(string) slog.Handler { return h }

// Handle writes a record, one line of the kernel's log for each of its lines.
func (h *KernelLog) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	text.WriteString(r.Message)
	text.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		text.WriteString(attrText(a))
		return true
	})
	level := kernelLevel(r.Level)
	lines := cut(text.String())
	err := h.write(level, lines)
	if r.Level >= LevelSay && (err != nil || level >= h.consoleLevel()) {
		WriteConsoles(h.root, logPrefix+strings.Join(lines, "\n"+logPrefix)+"\n")
	}
	return err
}

func (h *KernelLog) write(level int, lines []string) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	if h.out.f == nil {
		f, err := os.OpenFile(filepath.Join(h.root, "/dev/kmsg"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		h.out.f = f
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(h.out.f, "<%d>%s%s\n", level, logPrefix, line); err != nil {
			return err
		}
	}
	return nil
}

// consoleLevel is the kernel's: what is of this level or above is not shown.
func (h *KernelLog) consoleLevel() int {
	data, err := os.ReadFile(filepath.Join(h.root, "/proc/sys/kernel/printk"))
	level := 0
	if err == nil {
		_, err = fmt.Sscan(string(data), &level)
	}
	if err != nil {
		return 0 // not known: show it ourselves
	}
	return level
}

// kernelLevel is the kernel's word for a level: 3 err to 7 debug.
func kernelLevel(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= LevelSay:
		return 5
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

func attrText(a slog.Attr) string {
	value := a.Value.Resolve().String()
	if value == "" || strings.ContainsAny(value, " \t\"") {
		value = `"` + value + `"`
	}
	return " " + a.Key + "=" + value
}

// cut splits a text into lines that the kernel takes.
func cut(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		for len(line) > maxLine {
			lines = append(lines, line[:maxLine])
			line = line[maxLine:]
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// console is a terminal that the kernel writes its messages to.
type console struct {
	path   string
	screen bool // not a serial line
}

// consoles lists those of /proc/consoles, in lines such as
// "ttyS0                -W- (EC p a)    4:64".
func consoles(root string) []console {
	data, err := os.ReadFile(filepath.Join(root, "/proc/consoles"))
	if err != nil {
		return []console{{path: filepath.Join(root, "/dev/console")}}
	}
	var list []console
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.Contains(f[1], "W") {
			continue
		}
		name := f[0]
		rest := strings.TrimLeft(strings.TrimPrefix(name, "tty"), "0123456789")
		screen := strings.HasPrefix(name, "tty") && rest == ""
		if name == "tty0" {
			name = "tty1" // tty0 is whichever is seen, and nobody's own terminal
		}
		path := filepath.Join(root, "/dev", name)
		if _, err := os.Stat(path); err == nil { // not that of the network
			list = append(list, console{path, screen})
		}
	}
	return list
}

// WriteConsoles writes a text to every console, as far as that is possible.
func WriteConsoles(root, text string) {
	text = strings.ReplaceAll(text, "\n", "\r\n")
	for _, c := range consoles(root) {
		f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			continue
		}
		_, _ = f.WriteString(text)
		_ = f.Close()
	}
}
