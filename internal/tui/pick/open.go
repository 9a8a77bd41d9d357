package pick

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Serving is what dialogs about targets must know: what is declared, and who
// is logged in.
type Serving struct {
	Doc      *config.Document
	Sessions []engine.Session

	counts map[place]int       // sessions in a group
	names  map[string][]string // of initiators at a target, each once
	exact  map[place]string    // the same by their names in small letters
}

type place struct{ target, group string }

// serving is made of what was read; large arrays have thousands of sessions and
// patterns, and lists look at all of them again and again.
func serving(doc *config.Document, sessions []engine.Session) Serving {
	s := Serving{Doc: doc, Sessions: sessions, counts: map[place]int{}, names: map[string][]string{}, exact: map[place]string{}}
	for i := range sessions {
		x := &sessions[i]
		s.counts[place{x.Target, x.Group}]++
		who := place{x.Target, strings.ToLower(x.Initiator)}
		if _, seen := s.exact[who]; !seen {
			s.exact[who] = x.Initiator
			s.names[x.Target] = append(s.names[x.Target], x.Initiator)
		}
	}
	return s
}

// Serve reads it, for a list's Read.
func Serve(ctx context.Context, d *frame.Desk) (Serving, error) {
	doc, err := d.Document(ctx)
	if err != nil {
		return Serving{}, err
	}
	sessions, err := d.Client().Sessions(ctx)
	return serving(doc, sessions), err
}

// WithServing reads it and then calls then.
func WithServing(d *frame.Desk, then func(Serving)) {
	frame.Load(d, "Read the targets", func(ctx context.Context) (Serving, error) { return Serve(ctx, d) }, then)
}

// OneOf has one object chosen of those that options finds, and hands its value
// to do. None is said if there is nothing at all.
func OneOf(d *frame.Desk, p frame.Picker, none string, options func(Serving) []frame.Option, do func(value string, s Serving)) {
	WithServing(d, func(s Serving) {
		if p.Options = options(s); len(p.Options) == 0 {
			d.Say(p.Title, none)
			return
		}
		p.Do = func(chosen []string) {
			d.Close(&p)
			do(chosen[0], s)
		}
		d.Pick(&p)
	})
}

// apart is between the parts of a value: no name has it.
const apart = "\x00"

// Value makes an option's value of the names of an object.
func Value(names ...string) string { return strings.Join(names, apart) }

// Names are the names that an option's value was made of.
func Names(value string) []string { return strings.Split(value, apart) }

// Command is an esos command as a shell takes it.
func Command(args ...string) string {
	words := []string{"esos"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?!&|;<>()[]{}#~") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// Short is the part of a target's or subsystem's name that people know it by:
// what stands behind the last colon of an iqn. or nqn. name.
func Short(name string) string {
	if strings.HasPrefix(name, "iqn.") || strings.HasPrefix(name, "nqn.") {
		if i := strings.LastIndex(name, ":"); i >= 0 && i < len(name)-1 {
			return name[i+1:]
		}
	}
	return name
}

// Count is a number of things for people.
func Count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// YesNo is a yes or a no for people.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Attributes are a kernel's own attributes as lines of name=value.
func Attributes(m map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(name + "=" + m[name] + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// ParseAttributes reads lines of name=value.
func ParseAttributes(text string) (map[string]string, error) {
	var m map[string]string
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("%s: write name=value, one a line", line)
		}
		if m == nil {
			m = map[string]string{}
		}
		m[name] = value
	}
	return m, nil
}

// AttributesField is a field for a kernel's own attributes, which only the
// engines in the kernel have.
func AttributesField(doc *config.Document, text *string) frame.Field {
	return frame.Field{Label: "Engine's attributes", Lines: text,
		Hint: "name=value, one a line, by the names that the engine's kernel has; what is left out is as the kernel has it.",
		Show: func() bool { return doc.EngineName() != "native" || *text != "" },
		Check: func(s string) error {
			_, err := ParseAttributes(s)
			return err
		}}
}
