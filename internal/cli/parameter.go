package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// setParameters sets parameters from name=value, by the names that documents
// have for them.
func setParameters(p *config.Parameters, assignments []string) error {
	v := reflect.ValueOf(p).Elem()
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = v.Field(i)
		names = append(names, name)
	}
	for _, s := range assignments {
		name, value, ok := strings.Cut(s, "=")
		f, known := fields[name]
		if !ok || !known {
			return usageError{fmt.Errorf("parameter %q: write name=value; the names are %s", s, strings.Join(names, ", "))}
		}
		if value == "" {
			f.SetZero()
			continue
		}
		if err := setField(f, value); err != nil {
			return usageError{fmt.Errorf("parameter %s: %w", name, err)}
		}
	}
	return nil
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
