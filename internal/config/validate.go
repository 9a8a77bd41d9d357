package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Validate checks what the document means and returns all problems at once,
// doubtful points as warnings. It needs no machine.
func (d *Document) Validate() Problems {
	c := &checker{doc: d, devices: map[string]int{}, targets: map[string]int{}, portals: map[string]int{}, allowed: map[reflect.Type][]enumField{}}
	c.enums(reflect.ValueOf(d).Elem(), "")
	if d.Version != Version {
		c.error("version", "must be %d", Version)
	}
	c.name("name", d.Name)
	if d.ID != "" && !isUUID(d.ID) {
		c.error("id", "%q is no UUID; leave it out to have one made", clip(d.ID))
	}
	c.checkStorage()
	c.checkDevices()
	c.checkPortals()
	c.checkTargets()
	c.checkDeviceGroups()
	c.checkNVMe()
	c.checkAPI()
	c.checkNetwork()
	c.checkClock()
	c.checkMail()
	c.checkUsers()
	c.checkServices()
	return c.problems
}

// checker gathers problems and knows the names that others refer to.
type checker struct {
	doc      *Document
	problems Problems
	devices  map[string]int // index by name
	targets  map[string]int
	portals  map[string]int
	allowed  map[reflect.Type][]enumField
}

// enumField is a field that has an enum tag, or holds one that does.
type enumField struct {
	field
	allowed string // names with commas between them; "" looks inside
}

func (c *checker) error(path, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) warn(path, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Warning: true})
	}
}

// enums checks every field that has an enum tag.
func (c *checker) enums(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.enums(v.Elem(), path)
		}
	case reflect.Slice:
		if v.Len() > 0 && len(c.enumFields(v.Type().Elem())) > 0 {
			for i := range v.Len() {
				c.enums(v.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Struct:
		for _, f := range c.enumFields(v.Type()) {
			at, value := join(path, f.key), v.Field(f.index)
			switch {
			case f.allowed == "":
				c.enums(value, at)
			case value.Kind() == reflect.Slice:
				for i := range value.Len() {
					c.oneOf(at+"["+strconv.Itoa(i)+"]", value.Index(i).String(), f.allowed)
				}
			case value.String() != "":
				c.oneOf(at, value.String(), f.allowed)
			}
		}
	}
}

// enumFields finds the fields of a struct that enums must look at; a document
// can have thousands of structs, so each type is looked at once.
func (c *checker) enumFields(t reflect.Type) []enumField {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	if fs, ok := c.allowed[t]; ok {
		return fs
	}
	var fs []enumField
	for _, f := range fieldsOf(t) {
		sf := t.Field(f.index)
		allowed := sf.Tag.Get("enum")
		if allowed != "" || len(c.enumFields(sf.Type)) > 0 {
			fs = append(fs, enumField{f, allowed})
		}
	}
	c.allowed[t] = fs
	return fs
}

func (c *checker) oneOf(path, value, allowed string) {
	names := strings.Split(allowed, ",")
	for _, n := range names {
		if n == value {
			return
		}
	}
	hint := nearest(value, names)
	if hint == "" {
		hint = "; it must be one of " + strings.Join(names, ", ")
	}
	c.error(path, "%q is not known%s", clip(value), hint)
}

// name checks a name that appears in paths, commands and metrics.
func (c *checker) name(path, name string) {
	switch {
	case name == "":
		c.error(path, "missing")
	case len(name) > 64:
		c.error(path, "%q is longer than 64 characters", clip(name))
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || hasOther(name):
		c.error(path, "%q may have letters, digits, \".\", \"_\" and \"-\" only", clip(name))
	case strings.ContainsRune(".-", rune(name[0])):
		c.error(path, "%q must start with a letter, a digit or \"_\"", name)
	}
}

func hasOther(name string) bool {
	for _, r := range name {
		if r > 127 || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return true
		}
	}
	return false
}

// unique notes a name's first place and refuses a second one.
func (c *checker) unique(seen map[string]int, path, list, name string, index int) {
	if first, ok := seen[name]; ok && name != "" {
		c.error(path, "%q is already taken by %s[%d]", clip(name), list, first)
		return
	}
	seen[name] = index
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range strings.ToLower(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}
