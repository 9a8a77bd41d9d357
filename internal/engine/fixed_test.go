package engine_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// TestFixedDifferences sets one field of a device after another: all are fixed
// but its name, which is another device, its size, which may grow, and the
// kernel's own attributes, which change in place or are refused by it.
func TestFixedDifferences(t *testing.T) {
	for i := range reflect.TypeFor[config.Device]().NumField() {
		var have, want config.Device
		field := reflect.TypeFor[config.Device]().Field(i)
		v := reflect.ValueOf(&want).Elem().Field(i)
		switch v.Kind() {
		case reflect.String:
			v.SetString("other")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(4096)
		case reflect.Struct:
			want.Identity.Serial = "other"
		case reflect.Map:
			want.Attributes = map[string]string{"a": "b"}
		default:
			t.Fatalf("%s is a %s", field.Name, v.Kind())
		}
		names := engine.FixedDifferences(have, want)
		if fixed := !slices.Contains([]string{"Name", "Size", "Attributes"}, field.Name); fixed != (len(names) == 1) {
			t.Errorf("%s: %q differ", field.Name, names)
		}
	}
}
