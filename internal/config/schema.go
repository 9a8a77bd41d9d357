package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of the document, for editors
// and other tools. It tells the shape only; what a document means is checked
// by Validate.
func Schema() ([]byte, error) {
	s := schemas{defs: map[string]any{}}
	top := s.object(reflect.TypeFor[Document]())
	top["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	top["$id"] = "https://esos-project.org/schema/esos-1.json"
	top["title"] = "esos.yaml"
	top["description"] = "What the array should be."
	top["properties"].(map[string]any)["version"] = map[string]any{"const": Version, "description": "format of this document"}
	top["$defs"] = s.defs
	text, err := json.MarshalIndent(top, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write JSON schema: %w", err)
	}
	return append(text, '\n'), nil
}

// schemas gathers the schemas of structs by their names.
type schemas struct{ defs map[string]any }

func (s schemas) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(t) {
		sf := t.Field(f.index)
		p := s.of(sf.Type)
		if enum := sf.Tag.Get("enum"); enum != "" {
			in := p
			if items, ok := p["items"].(map[string]any); ok {
				in = items
			}
			in["enum"] = strings.Split(enum, ",")
		}
		if doc := sf.Tag.Get("doc"); doc != "" {
			p["description"] = doc
		}
		properties[f.key] = p
		if !strings.Contains(sf.Tag.Get("yaml"), ",omitempty") {
			required = append(required, f.key)
		}
	}
	o := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

// of returns the schema of a type; structs are referred to.
func (s schemas) of(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[Size]():
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "integer", "minimum": 0},
			map[string]any{"type": "string", "pattern": `^\s*[0-9]+(\.[0-9]{1,6})?\s*([kKMGTP](i?B)?|B)?\s*$`},
		}}
	case t == reflect.TypeFor[Secret]():
		return map[string]any{"type": "string", "writeOnly": true}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		name := t.Name()
		if _, known := s.defs[name]; !known {
			s.defs[name] = nil // breaks the circle of a type that has itself inside
			s.defs[name] = s.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem()),
			"propertyNames": map[string]any{"pattern": keyPattern(t)}}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	default:
		return map[string]any{"type": "string"}
	}
}

// keyPattern is what keys of a mapping look like.
func keyPattern(t reflect.Type) string {
	if t.Key().Kind() == reflect.Int {
		return "^[0-9]+$"
	}
	return "^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$"
}
