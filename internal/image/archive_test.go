package image

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

func TestArchiveMakesDirectoriesAndRepeatsItself(t *testing.T) {
	write := func() []byte {
		var out bytes.Buffer
		a := newArchive(&out)
		a.device("dev/console", 5, 1)
		a.link("lib", "usr/lib")
		a.file("usr/lib/modules/6.1/modules.dep", 0o644, []byte("x"))
		a.file("init", 0o755, []byte("program"))
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first := write()
	if !bytes.Equal(first, write()) {
		t.Error("the same contents are not the same bytes")
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(first)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, r.Name)
		if r.MTime != 0 || r.UID != 0 {
			t.Errorf("%s has time %d and owner %d, want 0", r.Name, r.MTime, r.UID)
		}
	}
	want := []string{"dev", "dev/console", "lib", "usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.1",
		"usr/lib/modules/6.1/modules.dep", "init"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
