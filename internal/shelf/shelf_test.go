package shelf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/host"
)

func TestShelf(t *testing.T) {
	s := Shelf{Dir: t.TempDir(), Space: func(string) (host.Space, error) { return host.Space{Total: 256 << 20}, nil }}
	if names, err := s.DumpNames(); len(names) != 0 || err != nil {
		t.Errorf("a new partition has dumps %q, %v", names, err)
	}
	for _, name := range []string{
		"crash/dump-2/vmcore", "crash/dump-2/dmesg.txt", "crash/dump-1/vmcore.part", "crash/dump-1/dmesg.txt", "crash/dump-3/vmcore", "crash/other/vmcore", "crash/dump-file",
		"logs/logs-2.tar.zst", "logs/logs-1.tar.zst", "logs/logs-3.tar.zst.part", "logs/other", "logs/logs-0.tar.zst/directory",
	} {
		path := filepath.Join(s.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep(); err != nil {
		t.Error(err)
	}
	dumps, err := s.DumpNames()
	if got := strings.Join(dumps, " "); got != "dump-1 dump-2 dump-3" || err != nil {
		t.Errorf("dumps %s, %v", got, err)
	}
	archives, err := s.ArchiveNames()
	if got := strings.Join(archives, " "); got != "logs-1.tar.zst logs-2.tar.zst" || err != nil {
		t.Errorf("archives %s, %v", got, err)
	}
	var dropped []string
	for _, drop := range []func() (string, error){
		func() (string, error) { return s.DropDump("dump-2") }, func() (string, error) { return s.DropDump("dump-2") }, func() (string, error) { return s.DropDump("dump-2") },
		func() (string, error) { return s.DropDump("") }, s.DropArchive, s.DropArchive, s.DropArchive,
	} {
		name, err := drop()
		if err != nil {
			t.Error(err)
		}
		dropped = append(dropped, name)
	}
	if got := strings.Join(dropped, " "); got != "dump-1 dump-3  dump-2 logs-1.tar.zst logs-2.tar.zst " {
		t.Errorf("dropped %q", got)
	}
	for name, want := range map[string]bool{"crash/dump-1/dmesg.txt": true, "crash/dump-2/dmesg.txt": true, "crash/dump-2/vmcore": false, "crash/other/vmcore": true,
		"logs/logs-3.tar.zst.part": false, "logs/other": true} {
		if _, err := os.Stat(filepath.Join(s.Dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %t", name, err == nil)
		}
	}
	if r, err := s.Reserve(); err != nil || r != 64<<20 {
		t.Errorf("reserve %d, %v", r, err)
	}
	s.Space = func(string) (host.Space, error) { return host.Space{Total: 64 << 30}, nil }
	if r, err := s.Reserve(); err != nil || r != 128<<20 {
		t.Errorf("reserve %d, %v", r, err)
	}
}
