package kernfs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMessages(t *testing.T) {
	log := Messages{Path: filepath.Join(t.TempDir(), "kmsg")}
	if err := os.WriteFile(log.Path, []byte("6,1,1,-;before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := log.Listen()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(log.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("3,2,5,-;scst: no; such file\n SUBSYSTEM=x\n6,3,6,-;after\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := lines(), []string{"scst: no; such file", "after"}; !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
	if _, err := (Messages{Path: log.Path + "x"}).Listen(); err == nil {
		t.Error("a log that is not there")
	}
}
