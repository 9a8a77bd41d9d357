package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder fills a document from YAML nodes. It goes on after a problem, so
// that all of them are told at once.
type decoder struct {
	problems Problems
	nodes    int // visited so far, against alias bombs
	fields   map[reflect.Type][]field
}

// field is a struct field with its key in the document.
type field struct {
	key   string
	index int
}

func (d *decoder) document(n *yaml.Node, doc *Document) {
	d.fields = map[reflect.Type][]field{}
	d.value(n, reflect.ValueOf(doc).Elem(), "")
}

func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Line: n.Line, Column: n.Column})
	}
}

// value decodes n into v. Types are those of Document: structs, slices, maps
// from int to int and from text to text, pointers, strings, bools, ints and Size.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	d.nodes++
	if d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.problem(n, path, "the document has more than %d parts, aliases counted each time", maxNodes)
		}
		return
	}
	n = resolve(n)
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return // "key:" without a value is the same as no key
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if size, ok := v.Addr().Interface().(*Size); ok {
		d.size(n, size, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Map:
		d.entries(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "must be a mapping of %s, not %s", strings.Join(keys(d.known(v.Type())), ", "), kind(n))
		return
	}
	fields := d.known(v.Type())
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		at := join(path, clip(k.Value))
		if k.Kind != yaml.ScalarNode {
			d.problem(k, path, "a key must be plain text, not %s", kind(k))
			continue
		}
		if before := first[k.Value]; before != nil {
			d.problem(k, at, "key is given twice; the first is in line %d", before.Line)
			continue
		}
		first[k.Value] = k
		index := -1
		for _, f := range fields {
			if f.key == k.Value {
				index = f.index
			}
		}
		if index < 0 {
			names := keys(fields)
			hint := nearest(k.Value, names)
			if hint == "" {
				hint = "; known are " + strings.Join(names, ", ")
			}
			d.problem(k, at, "unknown key %q%s", clip(k.Value), hint)
			continue
		}
		d.value(value, v.Field(index), at)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, "must be a list, not %s", kind(n))
		return
	}
	if len(n.Content) == 0 {
		return // an empty list is the same as none
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := path + "[" + strconv.Itoa(i) + "]"
		if item := resolve(item); item.Kind == yaml.ScalarNode && item.ShortTag() == "!!null" {
			d.problem(item, at, "list item is empty")
			continue
		}
		d.value(item, v.Index(i), at)
	}
}

func (d *decoder) entries(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		of := "numbers to numbers"
		if v.Type().Key().Kind() == reflect.String {
			of = "names to text"
		}
		d.problem(n, path, "must be a mapping of %s, not %s", of, kind(n))
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), 0)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		at := path + "[" + clip(k.Value) + "]"
		key := reflect.New(v.Type().Key()).Elem()
		value := reflect.New(v.Type().Elem()).Elem()
		had := len(d.problems)
		d.scalar(resolve(k), key, at)
		d.value(n.Content[i+1], value, at)
		if len(d.problems) > had {
			continue
		}
		if m.MapIndex(key).IsValid() {
			d.problem(k, at, "key is given twice")
			continue
		}
		m.SetMapIndex(key, value)
	}
	if m.Len() > 0 {
		v.Set(m)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.problem(n, path, "must be %s, not %s", wanted(v), kind(n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		// Any scalar is text here: "serial: 0123" means the digits as written.
		v.SetString(n.Value)
	case reflect.Bool:
		switch {
		case n.Value == "true" && n.Style == 0:
			v.SetBool(true)
		case n.Value == "false" && n.Style == 0:
			v.SetBool(false)
		default:
			d.problem(n, path, "must be true or false, not %q", clip(n.Value))
		}
	case reflect.Int:
		i, err := strconv.ParseInt(n.Value, 10, 32)
		if err != nil {
			d.problem(n, path, "must be a whole number, not %q", clip(n.Value))
			return
		}
		v.SetInt(i)
	default:
		d.problem(n, path, "cannot be read (type %s)", v.Type())
	}
}

func (d *decoder) size(n *yaml.Node, s *Size, path string) {
	if n.Kind != yaml.ScalarNode {
		d.problem(n, path, "must be a size like 10GiB, not %s", kind(n))
		return
	}
	size, err := ParseSize(n.Value)
	if err != nil {
		d.problem(n, path, "%v", err)
		return
	}
	*s = size
}

// known returns a struct's fields by their keys.
func (d *decoder) known(t reflect.Type) []field {
	if fs, ok := d.fields[t]; ok {
		return fs
	}
	fs := fieldsOf(t)
	d.fields[t] = fs
	return fs
}

// fieldsOf reads the keys of a struct's fields from their yaml tags.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			fs = append(fs, field{key, i})
		}
	}
	return fs
}

func keys(fs []field) []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.key
	}
	return names
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// kind names a node for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return fmt.Sprintf("%q", clip(n.Value))
	}
}

func wanted(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "text"
	}
}
