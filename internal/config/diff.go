package config

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A Change is one difference between two documents.
type Change struct {
	Object string        `json:"object"` // like device/db01 or lun/iqn.../hosts/3
	Action string        `json:"action"` // create, change, delete
	Fields []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one setting of an object that differs. Secrets read "(secret)".
type FieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"` // "" is not set
	New   string `json:"new,omitempty"`
}

// String is "size: 10GiB -> 20GiB".
func (f FieldChange) String() string {
	show := func(s string) string { return cmp.Or(s, "(default)") }
	if f.Old == f.New {
		return f.Field + ": changed" // a secret
	}
	return f.Field + ": " + show(f.Old) + " -> " + show(f.New)
}

// String is one line with a leading +, ~ or -, and an indented line a field.
func (c Change) String() string {
	sign := map[string]string{"create": "+", "change": "~", "delete": "-"}[c.Action]
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", sign, c.Object)
	for _, f := range c.Fields {
		b.WriteString("\n    ")
		if c.Action == "create" {
			b.WriteString(f.Field + ": " + f.New)
		} else {
			b.WriteString(f.String())
		}
	}
	return b.String()
}

// Diff tells what is different in b, object by object, in the order of b with
// what is gone last. It does not mind the order of lists of objects.
func Diff(a, b *Document) []Change {
	had, has := Objects(a), Objects(b)
	var changes []Change
	for _, name := range objectNames(b) {
		old, known := had[name]
		switch {
		case !known:
			changes = append(changes, Change{name, "create", Fields(nil, has[name])})
		default:
			if fields := Fields(old, has[name]); len(fields) > 0 {
				changes = append(changes, Change{name, "change", fields})
			}
		}
	}
	for _, name := range objectNames(a) {
		if _, still := has[name]; !still {
			changes = append(changes, Change{Object: name, Action: "delete"})
		}
	}
	return changes
}

// Objects returns the parts of a document by their names, each with its own
// settings only: a target is without its groups and LUNs. The names are those
// of plans: array, api, clock, mail, user/U, service/S, remote/R, multipath, multipath/M,
// array/A, encrypted/E, volume-group/V, volume/V/L, filesystem/F, snapshots/S,
// discovery, portal/P, device/D, target/T, group/T/G,
// lun/T/N (default map), lun/T/G/N, device-group/D, nvme-port/P,
// nvme-subsystem/NQN, nvme-namespace/NQN/NSID, hostname, dns, interface/I.
func Objects(d *Document) map[string]any {
	objects := make(map[string]any, len(d.Devices)+8*len(d.Targets)+8)
	walkObjects(d, func(name string, object any) { objects[name] = object })
	return objects
}

func objectNames(d *Document) []string {
	var names []string
	walkObjects(d, func(name string, _ any) { names = append(names, name) })
	return names
}

func walkObjects(d *Document, visit func(name string, object any)) {
	visit("array", Document{Version: d.Version, Name: d.Name, ID: d.ID, Engine: d.Engine})
	visit("discovery", d.ISCSI.Discovery)
	for _, p := range d.ISCSI.Portals {
		visit("portal/"+p.Name, p)
	}
	d.Storage.walk(visit)
	for _, dev := range d.Devices {
		visit("device/"+dev.Name, dev)
	}
	for _, t := range d.Targets {
		own := t
		own.Groups, own.LUNs = nil, nil
		visit("target/"+t.Name, own)
		for _, l := range t.LUNs {
			visit(LUNObject(t.Name, "", l.LUN), l)
		}
		for _, g := range t.Groups {
			own := g
			own.LUNs = nil
			visit("group/"+t.Name+"/"+g.Name, own)
			for _, l := range g.LUNs {
				visit(LUNObject(t.Name, g.Name, l.LUN), l)
			}
		}
	}
	for _, g := range d.DeviceGroups {
		visit("device-group/"+g.Name, g)
	}
	d.NVMe.walk(visit)
	visit("api", d.API)
	d.Network.walk(visit)
	visit("clock", d.Clock)
	visit("mail", d.Mail)
	for _, u := range d.Users {
		visit("user/"+u.Name, u)
	}
	for _, s := range d.Services {
		visit("service/"+s.Name, s)
	}
}

// LUNObject names a LUN: lun/TARGET/GROUP/N, or lun/TARGET/N in the default map.
func LUNObject(target, group string, lun int) string {
	if group != "" {
		target += "/" + group
	}
	return "lun/" + target + "/" + strconv.Itoa(lun)
}

// Fields compares two values of one struct type setting by setting; old may
// be nil. Nothing set and an empty list are the same. Items of lists that have
// a name are found by it, wherever they are in the list.
func Fields(old, new any) []FieldChange {
	if old != nil && reflect.DeepEqual(old, new) {
		return nil // nearly always
	}
	var was, is flat
	if old != nil {
		was.add("", reflect.ValueOf(old))
	}
	is.add("", reflect.ValueOf(new))
	var changes []FieldChange
	for _, key := range is.order {
		if o, n := was.leaves[key], is.leaves[key]; o.value != n.value {
			changes = append(changes, FieldChange{key, o.text, n.text})
		}
	}
	for _, key := range was.order {
		if _, still := is.leaves[key]; !still {
			changes = append(changes, FieldChange{key, was.leaves[key].text, ""})
		}
	}
	return changes
}

// FieldIndex finds the field of a struct type of documents by its key there, -1
// if it has none of that key.
func FieldIndex(t reflect.Type, key string) int {
	for _, f := range fieldsOf(t) {
		if f.key == key {
			return f.index
		}
	}
	return -1
}

// leaf is one setting: what is compared and what is shown.
type leaf struct{ value, text string }

// flat is a struct as its settings that are set, by dotted key.
type flat struct {
	order  []string
	leaves map[string]leaf
}

func (f *flat) put(key, value, text string) {
	if f.leaves == nil {
		f.leaves = map[string]leaf{}
	}
	f.order = append(f.order, key)
	f.leaves[key] = leaf{value, text}
}

func (f *flat) add(key string, v reflect.Value) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		if v = v.Elem(); v.Kind() == reflect.Bool {
			f.put(key, strconv.FormatBool(v.Bool()), strconv.FormatBool(v.Bool()))
			return
		}
	}
	if v.IsZero() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, fd := range fieldsOf(v.Type()) {
			f.add(join(key, fd.key), v.Field(fd.index))
		}
	case reflect.Slice:
		f.list(key, v)
	case reflect.Map:
		switch m := v.Interface().(type) {
		case map[int]int:
			for _, k := range slices.Sorted(maps.Keys(m)) {
				text := strconv.Itoa(m[k])
				f.put(key+"["+strconv.Itoa(k)+"]", text, text)
			}
		case map[string]string:
			for _, k := range slices.Sorted(maps.Keys(m)) {
				f.put(key+"["+k+"]", m[k], m[k])
			}
		}
	case reflect.String:
		f.put(key, v.String(), fmt.Sprint(v.Interface()))
	default:
		text := fmt.Sprint(v.Interface())
		f.put(key, text, text)
	}
}

func (f *flat) list(key string, v reflect.Value) {
	if v.Type().Elem().Kind() != reflect.Struct {
		texts := make([]string, v.Len())
		for i := range v.Len() {
			texts[i] = fmt.Sprint(v.Index(i).Interface())
		}
		text := strings.Join(texts, ", ")
		if len(texts) > 0 {
			f.put(key, text, text)
		}
		return
	}
	for i := range v.Len() {
		item, name := v.Index(i), strconv.Itoa(i)
		for _, field := range []string{"Name", "NQN"} {
			if n := item.FieldByName(field); n.IsValid() {
				name = n.String()
			}
		}
		at := key + "[" + name + "]"
		if _, twice := f.leaves[at]; twice {
			at = key + "[" + name + "#" + strconv.Itoa(i) + "]"
		}
		f.put(at, name, name)
		f.add(at, item)
	}
}
