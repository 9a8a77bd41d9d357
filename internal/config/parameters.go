package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Parameter is one of Parameters, for people: its name as documents have it,
// and what it is.
type Parameter struct{ Name, Doc string }

// ParameterList are all parameters.
func ParameterList() []Parameter {
	t := reflect.TypeFor[Parameters]()
	list := make([]Parameter, t.NumField())
	for i := range list {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		list[i] = Parameter{Name: name, Doc: f.Tag.Get("doc")}
		if enum := f.Tag.Get("enum"); enum != "" {
			list[i].Doc += ": " + strings.ReplaceAll(enum, ",", ", ")
		}
	}
	return list
}

// Set sets the parameter of a name; no value leaves it at its default.
func (p *Parameters) Set(name, value string) error {
	f, err := p.field(name)
	if err != nil {
		return err
	}
	if value == "" {
		f.SetZero()
		return nil
	}
	if err := setField(f, value); err != nil {
		return fmt.Errorf("parameter %s: %w", name, err)
	}
	return nil
}

// Get is the value of a parameter as Set takes it, "" if it is the default.
func (p *Parameters) Get(name string) string {
	f, err := p.field(name)
	if err != nil || f.IsZero() {
		return ""
	}
	switch v := f.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case *bool:
		if *v {
			return "yes"
		}
		return "no"
	}
	return fmt.Sprint(f.Interface())
}

func (p *Parameters) field(name string) (reflect.Value, error) {
	var names []string
	for i, known := range ParameterList() {
		if known.Name == name {
			return reflect.ValueOf(p).Elem().Field(i), nil
		}
		names = append(names, known.Name)
	}
	return reflect.Value{}, fmt.Errorf("there is no parameter %q; the names are %s", name, strings.Join(names, ", "))
}

func setField(f reflect.Value, value string) error {
	switch f.Kind() {
	case reflect.Int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%q is no number", value)
		}
		f.SetInt(int64(n))
	case reflect.Slice:
		f.Set(reflect.ValueOf(strings.Split(value, ",")))
	default: // *bool
		switch strings.ToLower(value) {
		case "yes":
			value = "true"
		case "no":
			value = "false"
		}
		if err := json.Unmarshal([]byte(value), f.Addr().Interface()); err != nil {
			return fmt.Errorf("%q is neither yes nor no", value)
		}
	}
	return nil
}

// Problem says what is wrong with the parameters, "" if nothing is.
func (p Parameters) Problem() string {
	c := &checker{doc: &Document{}, allowed: map[reflect.Type][]enumField{}}
	c.enums(reflect.ValueOf(&p).Elem(), "")
	c.checkParameters("", p)
	for _, found := range c.problems {
		return strings.TrimPrefix(found.Path, ".") + " " + found.Message
	}
	return ""
}
