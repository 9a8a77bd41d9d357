package attribute

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// files are an object's attributes, and what was written.
type files struct {
	have  map[string]string
	wrote []string
	takes func(name, value string) (string, error) // nil for all as it is
}

func (f *files) object() Object {
	return Object{
		Names: func() ([]string, error) { return slices.Sorted(maps.Keys(f.have)), nil },
		Read: func(name string) (string, error) {
			v, ok := f.have[name]
			if !ok {
				return "", fs.ErrNotExist
			}
			return v, nil
		},
		Write: func(name, value string) error {
			if f.takes != nil {
				var err error
				if value, err = f.takes(name, value); err != nil {
					return err
				}
			}
			f.wrote = append(f.wrote, name+"="+value)
			f.have[name] = value
			return nil
		},
		Keep: func() error { return nil },
	}
}

func TestPut(t *testing.T) {
	clamp := func(_, value string) (string, error) {
		switch value {
		case "300":
			return "256", nil
		case "yes":
			return "1", nil
		case "f":
			return "0000000f", nil
		case "deaf", "off":
			return "0", nil
		case "auto":
			return "2 threads", nil
		case "no way":
			return "", unix.EINVAL
		}
		return value, nil
	}
	for _, test := range []struct {
		name, value string
		wrote       []string
		refused     string
	}{
		{"as it is", "0", nil, ""},
		{"another base", "0x0", nil, ""},
		{"a switch", "off", []string{"a=0"}, ""},
		{"a switch that is on", "yes", []string{"a=1"}, ""},
		{"a mask", "f", []string{"a=0000000f"}, ""},
		{"read in other words", "auto", []string{"a=2 threads"}, ""},
		{"a number made another", "300", []string{"a=256", "a=0"}, `reads "256" then`},
		{"taken and not done", "deaf", []string{"a=0"}, `reads "0" then`},
		{"refused", "no way", nil, `set attribute a to "no way": invalid argument (it reads "0"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &files{have: map[string]string{"a": "0", "b": "1"}, takes: clamp}
			var w Words
			said := map[string]string{"a": test.value}
			err := w.Put(f.object(), &said)
			if test.refused == "" && err != nil || test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)) {
				t.Fatalf("put: %v, want %q", err, test.refused)
			}
			if diff := cmp.Diff(test.wrote, f.wrote); diff != "" {
				t.Errorf("wrote (-want +got):\n%s", diff)
			}
			if test.refused != "" {
				if len(said) > 0 || f.have["a"] != "0" {
					t.Errorf("refused, and %v is said of %v", said, f.have)
				}
				return
			}
			f.wrote = nil
			if err := w.Put(f.object(), &said); err != nil || len(f.wrote) > 0 {
				t.Errorf("put again wrote %q, %v", f.wrote, err)
			}
			if got, err := w.Observe(f.object(), said); err != nil || !cmp.Equal(got, said) {
				t.Errorf("observed %v, %v; declared %v", got, err, said)
			}
			said = nil
			if err := w.Put(f.object(), &said); err != nil || f.have["a"] != "0" {
				t.Errorf("taken back, it reads %q, %v", f.have["a"], err)
			}
			if w.Forget(func(string) bool { return false }); !w.Idle(nil) || len(w.Reads) > 0 {
				t.Errorf("words are left: %+v", w)
			}
		})
	}
}

// A refusal leaves what was set before it, and says so.
func TestRefusalKeepsWhatIsSet(t *testing.T) {
	f := &files{have: map[string]string{"a": "0", "b": "0", "c": "0"}, takes: func(name, value string) (string, error) {
		if name == "b" && value != "5" {
			return "", unix.EINVAL
		}
		return value, nil
	}}
	w, said := Words{}, map[string]string{"b": "5"}
	if err := w.Put(f.object(), &said); err != nil {
		t.Fatal(err)
	}
	said = map[string]string{"a": "1", "b": "2", "c": "3"}
	if err := w.Put(f.object(), &said); !errors.Is(err, unix.EINVAL) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "5"}, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if err := w.Put(f.object(), &said); err != nil {
		t.Errorf("what comes next fails, too: %v", err)
	}
}

func TestUnknownNamesTheNearestFirst(t *testing.T) {
	names := []string{"block_size", "emulate_tas", "emulate_ua_intlck_ctrl", "queue_depth"}
	for name, first := range map[string]string{"queue_dept": "queue_depth", "tas": "emulate_tas", "BlockSize": "block_size"} {
		if err := unknown(name, names); !strings.Contains(err.Error(), "it has "+first+", ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := unknown("x", nil); !strings.Contains(err.Error(), "nor any other") {
		t.Error(err)
	}
}

func TestMerge(t *testing.T) {
	got := Merge([]map[string]string{{"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2"}})
	want := map[string]string{"a": "1", "b": "1 (not everywhere)", "c": "1 (not everywhere)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "1", "c": "1"}, Bare(got)); diff != "" {
		t.Error(diff)
	}
	if Merge(nil) != nil || Merge([]map[string]string{nil, nil}) != nil {
		t.Error("of nothing comes something")
	}
}

func TestSame(t *testing.T) {
	for _, test := range []struct {
		said, now string
		want      bool
	}{
		{"32", "32", true}, {"0x20", "32", true}, {"040", "32", true}, {"7", "0x7", true}, {"0", "0x0", true}, {"00", "0", true},
		{"10", "00000010", true}, {"8", "00000010", false}, {"F", "0000000f", true}, {"1,00000000", "00000001,00000000", true},
		{"010", "10", false}, {"f", "0", false}, {"y", "1", false}, {"", "0", false}, {"-1", "4294967295", false},
	} {
		if got := same(test.said, test.now); got != test.want {
			t.Errorf("same(%q, %q) = %v", test.said, test.now, got)
		}
	}
}
