package saveconfig

import (
	"fmt"
	"strconv"

	"github.com/esos-project/esos/internal/carry"
)

// object reads the keys of one object. What nobody asked for is left, not
// dropped.
type object struct {
	r  *reader
	n  *node
	of string // what it is, for messages
}

// find returns a key's value, nil if it is not there or null.
func (o object) find(key string) *node {
	for i := range o.n.fields {
		if f := &o.n.fields[i]; f.key == key {
			f.taken = true
			if f.value.what == "null" {
				return nil
			}
			return f.value
		}
	}
	return nil
}

func (o object) wrong(n *node, key, wanted string) {
	if o.r.err == nil {
		o.r.err = carry.Refuse(o.r.file, n.at, fmt.Sprintf("%s of %s must be %s, not a %s", key, o.of, wanted, n.what))
	}
}

// text reads a string, "" if there is none.
func (o object) text(key string) string {
	n := o.find(key)
	if n == nil {
		return ""
	}
	if n.what != "string" && n.what != "number" { // a name of digits only
		o.wrong(n, key, "a string")
	}
	return n.text
}

// number reads a number, which old versions write as a string.
func (o object) number(key string, otherwise int64) int64 {
	n := o.find(key)
	if n == nil {
		return otherwise
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || n.what != "number" && n.what != "string" {
		o.wrong(n, key, "a whole number")
	}
	return v
}

// flag reads a truth value, which some versions write as 0 and 1.
func (o object) flag(key string, otherwise bool) bool {
	n := o.find(key)
	switch {
	case n == nil:
		return otherwise
	case n.what == "flag":
		return n.flag
	case n.text == "0" || n.text == "1":
		return n.text == "1"
	}
	o.wrong(n, key, "true or false")
	return otherwise
}

// objects reads a list of objects.
func (o object) objects(key string) []object {
	n := o.find(key)
	if n == nil {
		return nil
	}
	if n.what != "list" {
		o.wrong(n, key, "a list")
		return nil
	}
	var all []object
	for _, item := range n.items {
		if item.what != "object" {
			o.wrong(item, "an item of "+key, "an object")
			return nil
		}
		all = append(all, object{o.r, item, "an item of " + key})
	}
	return all
}

// inner reads an object; one without keys if there is none.
func (o object) inner(key string) object {
	n := o.find(key)
	switch {
	case n == nil:
		n = &node{at: o.n.at, what: "object"}
	case n.what != "object":
		o.wrong(n, key, "an object")
		n = &node{at: n.at, what: "object"}
	}
	return object{o.r, n, key + " of " + o.of}
}

// shown is a value as the kernel's files show it.
func shown(n *node) string {
	if n.what == "flag" {
		if n.flag {
			return "1"
		}
		return "0"
	}
	return n.text
}

// rest leaves the keys that nobody asked for, save those that have the value
// that they have when nobody set them.
func (o object) rest(usual map[string]string, of string) {
	for _, f := range o.n.fields {
		if f.taken || f.value.what == "null" {
			continue
		}
		if value, ok := usual[f.key]; ok && value == shown(f.value) {
			continue
		}
		if measured(f.key) {
			o.r.measured(f.at)
			continue
		}
		what := f.key + " of " + of
		if grave(f.key) {
			o.r.f.Miss(f.at, what, why(f.key))
		} else {
			o.r.f.Leave(f.at, what, why(f.key))
		}
	}
}
