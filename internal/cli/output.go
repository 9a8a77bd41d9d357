package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/esos-project/esos/internal/inventory"
)

// Output formats.
const (
	asTable = "table"
	asJSON  = "json"
	asYAML  = "yaml"
)

func (a *app) checkOutput() error {
	switch a.output {
	case asTable, asJSON, asYAML:
		return nil
	}
	return usageError{fmt.Errorf("output %q is none of table, json, yaml", a.output)}
}

// print writes v as JSON or YAML, or what fill puts into a table.
func (a *app) print(v any, fill func(t *table)) error {
	if list := reflect.ValueOf(v); list.Kind() == reflect.Slice && list.IsNil() {
		v = []struct{}{} // an empty list, not null
	}
	switch a.output {
	case asJSON:
		enc := json.NewEncoder(a.out)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	case asYAML:
		text, err := yamlOf(v)
		if err != nil {
			return err
		}
		_, err = a.out.Write(text)
		return err
	}
	t := &table{w: tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)}
	fill(t)
	return t.w.Flush()
}

// writeLine writes v as JSON on one line.
func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// yamlOf is v's JSON as YAML: the same names in the same order.
func yamlOf(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Load(text, &node); err != nil {
		return nil, err
	}
	unquote(&node)
	return yaml.Dump(&node, yaml.WithIndent(2))
}

// unquote takes the looks of JSON from a tree.
func unquote(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
	}
	for _, c := range n.Content {
		unquote(c)
	}
}

// table is text in columns.
type table struct{ w *tabwriter.Writer }

// head writes the names of the columns.
func (t *table) head(names ...string) {
	fmt.Fprintln(t.w, strings.ToUpper(strings.Join(names, "\t")))
}

// row writes one line.
func (t *table) row(cells ...any) {
	s := make([]string, len(cells))
	for i, c := range cells {
		s[i] = clean(fmt.Sprint(c))
		if s[i] == "" {
			s[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(s, "\t"))
}

// pair writes a name and its value, unless that is empty.
func (t *table) pair(name string, value any) {
	if s := clean(fmt.Sprint(value)); s != "" {
		fmt.Fprintf(t.w, "%s:\t%s\n", name, s)
	}
}

// pairs writes all that is known of an object.
func (t *table) pairs(all inventory.Pairs) {
	for _, p := range all {
		t.pair(p.Name, p.Value)
	}
}

// clean keeps text from outside (an initiator's name, say) from steering the
// terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
