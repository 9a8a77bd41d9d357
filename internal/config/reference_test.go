package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/document.md is written from the doc tags.
func TestReference(t *testing.T) {
	const path = "../../docs/document.md"
	got := reference()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what the types say; run go test ./internal/config -update (-want +got):\n%s", path, diff)
	}
}

func reference() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# esos.yaml

What the array should be, in one file. `+"`esos apply -f FILE`"+` makes it so; `+"`esos config show`"+`
prints the document in force; `+"`esos config schema`"+` prints its JSON Schema for editors. The
files in [examples](../examples) are complete documents, each used by a test.

Unknown and duplicate keys are refused. Keys in **bold** are required. Sizes are bytes or
numbers with a unit: KiB MiB GiB TiB PiB (or K M G T P) are powers of 1024, kB MB GB TB PB of
1000. What you leave out and the array must remember (id, paths of image files, identities,
relative target port identifiers) is completed by the first apply and then stays.

This page is written from the types in internal/config; do not edit it.
`)
	section(&b, reflect.TypeFor[Document](), "The document", "", map[reflect.Type]bool{})
	return b.String()
}

// section writes a table of a type's keys and then the sections of what is in it.
func section(b *strings.Builder, t reflect.Type, title, at string, done map[reflect.Type]bool) {
	if done[t] {
		return
	}
	done[t] = true
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if at != "" {
		fmt.Fprintf(b, "In `%s`.\n\n", at)
	}
	b.WriteString("| key | type | meaning |\n|---|---|---|\n")
	type inner struct {
		t  reflect.Type
		at string
	}
	var inside []inner
	for _, f := range fieldsOf(t) {
		sf := t.Field(f.index)
		key := "`" + f.key + "`"
		if !strings.Contains(sf.Tag.Get("yaml"), ",omitempty") {
			key = "**" + key + "**"
		}
		kind, elem, list := typeName(sf.Type)
		text := sf.Tag.Get("doc")
		if enum := sf.Tag.Get("enum"); enum != "" {
			text += ": " + strings.ReplaceAll(enum, ",", ", ")
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", key, kind, strings.ReplaceAll(text, "|", `\|`))
		if elem != nil {
			inside = append(inside, inner{elem, join(at, f.key) + list})
		}
	}
	for _, in := range inside {
		section(b, in.t, in.t.Name(), in.at, done)
	}
}

func typeName(t reflect.Type) (name string, elem reflect.Type, list string) {
	switch {
	case t == reflect.TypeFor[Size]():
		return "size", nil, ""
	case t == reflect.TypeFor[Secret]():
		return "secret", nil, ""
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		return "[" + t.Name() + "](#" + strings.ToLower(t.Name()) + ")", t, ""
	case reflect.Slice:
		name, elem, _ := typeName(t.Elem())
		return "list of " + name, elem, "[]"
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return "mapping of names to text", nil, ""
		}
		return "mapping of numbers", nil, ""
	case reflect.Bool:
		return "true or false", nil, ""
	case reflect.Int:
		return "number", nil, ""
	default:
		return "text", nil, ""
	}
}
