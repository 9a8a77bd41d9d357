package words

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStore(t *testing.T) {
	s := Store{Dir: filepath.Join(t.TempDir(), "w"), Kinds: []string{"a", "b"}}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(s.Open())
	var got string
	if found, err := s.Get("a", "x/y", &got); found || err != nil {
		t.Errorf("before there are any: %v, %v", found, err)
	}
	ok(s.Put("a", "x/y", "text"))
	before, err := os.Stat(s.path("a", "x/y"))
	ok(err)
	ok(s.Put("a", "x/y", "text"))
	if after, err := os.Stat(s.path("a", "x/y")); err != nil || !os.SameFile(before, after) || before.Mode().Perm() != 0o600 {
		t.Errorf("the same words were written again, or for all to read: %v, %v", after.Mode(), err)
	}
	if found, err := s.Get("a", "x/y", &got); !found || err != nil || got != "text" {
		t.Errorf("read %q, %v, %v", got, found, err)
	}
	ok(s.Put("a", "b", "more"))
	ok(os.WriteFile(s.path("a", "damaged"), []byte("{"), 0o600))
	all, err := All[string](s, "a")
	ok(err)
	if diff := cmp.Diff([]string{"more", "text"}, all); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		ok(s.Remove("a", "b"))
	}
	ok(s.Clear())
	if all, err = All[string](s, "a"); err != nil || len(all) != 0 {
		t.Errorf("left: %q, %v", all, err)
	}
	if _, err := All[string](s, "none"); err == nil {
		t.Error("a kind that there is none of")
	}
}
