package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Marshal writes the document as YAML in its canonical form, with its secrets:
// what it returns belongs into files of mode 0600 only. Take Redacted for what
// people see. The same document is always the same text.
//
// The YAML library's writer takes longer than all else that a change of a
// large document does; of YAML, a document needs block mappings, block lists
// and two kinds of scalars only.
func Marshal(d *Document) ([]byte, error) {
	w := writer{fields: map[reflect.Type][]written{}}
	w.mapping(reflect.ValueOf(d).Elem(), 0, false)
	if w.err != nil {
		return nil, fmt.Errorf("write document %q: %w", d.Name, w.err)
	}
	return w.out.Bytes(), nil
}

// MarshalJSONRevealed writes the document as JSON with its secrets. JSON by
// json.Marshal hides them.
func MarshalJSONRevealed(d *Document) ([]byte, error) {
	text, err := Marshal(d)
	if err != nil {
		return nil, err
	}
	var plain any
	if err := yaml.Load(text, &plain); err != nil {
		return nil, fmt.Errorf("write document %q: %w", d.Name, err)
	}
	return json.Marshal(stringKeys(plain))
}

// stringKeys makes of YAML's mappings those of JSON: relative_ids has numbers
// for keys.
func stringKeys(v any) any {
	switch v := v.(type) {
	case map[any]any:
		m := make(map[string]any, len(v))
		for k, item := range v {
			m[fmt.Sprint(k)] = stringKeys(item)
		}
		return m
	case map[string]any:
		for k, item := range v {
			v[k] = stringKeys(item)
		}
	case []any:
		for i, item := range v {
			v[i] = stringKeys(item)
		}
	}
	return v
}

// writer writes a document's values as YAML.
type writer struct {
	out    bytes.Buffer
	fields map[reflect.Type][]written
	err    error
}

// written is a field and whether it is left out when it is zero.
type written struct {
	field
	omitEmpty bool
}

func (w *writer) known(t reflect.Type) []written {
	if fs, ok := w.fields[t]; ok {
		return fs
	}
	var fs []written
	for _, f := range fieldsOf(t) {
		fs = append(fs, written{f, strings.HasSuffix(t.Field(f.index).Tag.Get("yaml"), ",omitempty")})
	}
	w.fields[t] = fs
	return fs
}

func (w *writer) indent(depth int) {
	for range depth {
		w.out.WriteString("  ")
	}
}

// empty says whether a value is nothing: zero, or a list or mapping with
// nothing in it.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if !empty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// mapping writes a struct's fields, one a line. With inItem the first one
// follows the dash of a list.
func (w *writer) mapping(v reflect.Value, depth int, inItem bool) {
	for _, f := range w.known(v.Type()) {
		value := v.Field(f.index)
		if f.omitEmpty && empty(value) {
			continue
		}
		if !inItem {
			w.indent(depth)
		}
		inItem = false
		w.out.WriteString(f.key)
		w.out.WriteByte(':')
		w.value(value, depth+1)
	}
	if inItem { // a list's item with nothing in it
		w.out.WriteString("{}\n")
	}
}

// value writes what follows a key, to the end of its last line.
func (w *writer) value(v reflect.Value, depth int) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if empty(v) {
			w.out.WriteString(" {}\n")
			return
		}
		w.out.WriteByte('\n')
		w.mapping(v, depth, false)
	case reflect.Slice:
		w.out.WriteByte('\n')
		for i := range v.Len() {
			item := v.Index(i)
			w.indent(depth)
			w.out.WriteByte('-')
			if item.Kind() == reflect.Struct {
				w.out.WriteByte(' ')
				w.mapping(item, depth+1, true)
				continue
			}
			w.value(item, depth+1)
		}
	case reflect.Map:
		w.out.WriteByte('\n')
		switch m := v.Interface().(type) {
		case map[int]int:
			for _, k := range slices.Sorted(maps.Keys(m)) {
				w.indent(depth)
				fmt.Fprintf(&w.out, "%d: %d\n", k, m[k])
			}
		case map[string]string:
			for _, k := range slices.Sorted(maps.Keys(m)) {
				w.indent(depth)
				w.text(k)
				w.out.WriteString(": ")
				w.text(m[k])
				w.out.WriteByte('\n')
			}
		default:
			w.err = fmt.Errorf("cannot write a %s", v.Type())
		}
	default:
		w.out.WriteByte(' ')
		w.scalar(v)
		w.out.WriteByte('\n')
	}
}

func (w *writer) scalar(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		w.text(v.String())
	case reflect.Bool:
		w.out.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.Int:
		w.out.Write(strconv.AppendInt(w.out.AvailableBuffer(), v.Int(), 10))
	case reflect.Int64:
		w.out.WriteString(Size(v.Int()).String())
	default:
		w.err = fmt.Errorf("cannot write a %s", v.Type())
	}
}

// text writes a string as it is if no reader of YAML takes it for anything
// else, in double quotes otherwise.
func (w *writer) text(s string) {
	if plain(s) {
		w.out.WriteString(s)
		return
	}
	if !utf8.ValidString(s) {
		w.err = fmt.Errorf("%q is no text in UTF-8", clip(s))
	}
	w.out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case r == '\n':
			w.out.WriteString(`\n`)
		case unicode.IsPrint(r):
			w.out.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&w.out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&w.out, `\u%04x`, r)
		default:
			fmt.Fprintf(&w.out, `\U%08x`, r)
		}
	}
	w.out.WriteByte('"')
}

// plain says whether a string needs no quotes: a letter or slash first, no
// sign that YAML knows, and none of its words.
func plain(s string) bool {
	if s == "" || len(s) > 256 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '/'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' || c == ':' && i+1 < len(s))) {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return false
	}
	return true
}
