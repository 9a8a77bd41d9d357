package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
)

// imageMachine is a machine with a file system of a kind, and an image on it.
func imageMachine(t *testing.T, kind string) (*storagefake.Machine, storagefake.Images, *Service, *config.Document) {
	t.Helper()
	m := storagefake.New()
	m.Disk("vda", "data", 1<<30)
	if err := errors.Join(m.Run("mkfs."+kind, "/dev/vda"), m.MakeDir("/mnt/vdisks/fs", 0o755), m.Run("mount", "-t", kind, "/dev/vda", "/mnt/vdisks/fs"),
		m.Store("/mnt/vdisks/fs/db.img", 4096)); err != nil {
		t.Fatal(err)
	}
	files := storagefake.Images{Machine: m}
	s := New(Options{Machine: m, Files: files, DataDir: "/data", Now: noon})
	doc := documentOf(config.Device{Name: "db", Handler: config.FileIO, Path: "/mnt/vdisks/fs/db.img"})
	doc.Storage.FileSystems = []config.FileSystem{{Name: "fs"}}
	return m, files, s, doc
}

func TestImage(t *testing.T) {
	for _, kind := range []string{"xfs", "btrfs"} {
		_, files, s, doc := imageMachine(t, kind)
		made, err := s.Take(t.Context(), Request{Name: "nightly", Schedule: "nightly", Devices: doc.Devices})
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.List(t.Context(), doc)
		if err != nil || len(all) != 1 || len(made) != 1 || fmt.Sprint(all[0]) != fmt.Sprint(made[0]) {
			t.Fatalf("made %+v, listed %+v, %v", made, all, err)
		}
		if all[0].Path != "/mnt/vdisks/fs/.snapshots/db.img.nightly-20261128-120000" || all[0].Schedule != "nightly" || all[0].Size != 4096 {
			t.Errorf("%+v", all[0])
		}
		if _, err := s.Take(t.Context(), Request{Name: "nightly", Devices: doc.Devices}); !errors.Is(err, config.ErrExists) {
			t.Errorf("a second one of the same name: %v", err)
		}
		used := doc.Clone()
		used.Devices = append(used.Devices, config.Device{Name: "old", Handler: config.FileIO, Path: all[0].Path})
		if err := s.Delete(t.Context(), used, "db", all[0].Name); !errors.Is(err, ErrUsed) {
			t.Errorf("delete of one that a device serves: %v", err)
		}
		if err := s.Delete(t.Context(), doc, "db", all[0].Name); err != nil {
			t.Fatal(err)
		}
		if names, _ := files.Names("/mnt/vdisks/fs/.snapshots"); len(names) > 0 {
			t.Errorf("left: %v", names)
		}
		if _, err := files.Stat("/mnt/vdisks/fs/db.img"); err != nil {
			t.Error(err)
		}
	}
}

func TestImageRefused(t *testing.T) {
	_, _, s, doc := imageMachine(t, "ext4")
	_, err := s.Take(t.Context(), Request{Name: "x", Devices: doc.Devices})
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "is on ext4, which has no files that share blocks") {
		t.Error(err)
	}
	doc.Devices = append(doc.Devices, config.Device{Name: "log", Handler: config.FileIO, Path: "/mnt/vdisks/fs/log.img"})
	if _, err = s.Take(t.Context(), Request{Name: "x", Devices: doc.Devices}); !errors.As(err, &refused) || !strings.Contains(err.Error(), "db, log: image files cannot be held") {
		t.Error(err)
	}
}

// A file that is there and not of ESOS is none of its snapshots.
func TestForeignFile(t *testing.T) {
	_, files, s, doc := imageMachine(t, "xfs")
	if err := files.Store("/mnt/vdisks/fs/.snapshots/db.img.x-20261128-120000", 1); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(t.Context(), doc); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
	if _, err := s.Take(t.Context(), Request{Name: "x", Devices: doc.Devices}); !errors.Is(err, config.ErrExists) {
		t.Errorf("%v", err)
	}
}

func TestImageFaults(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			m, files, s, doc := imageMachine(t, "xfs")
			m.FailAt(n, after)
			_, err := s.Take(t.Context(), Request{Name: "x", Devices: doc.Devices})
			names, _ := files.Names("/mnt/vdisks/fs/.snapshots")
			if (err == nil) != slices.Equal(names, []string{"db.img.x-20261128-120000"}) || err != nil && len(names) > 0 {
				t.Errorf("failure %d (after %v): %v, and %v", n, after, err, names)
			}
			if !m.Injected() {
				break
			}
		}
	}
}
