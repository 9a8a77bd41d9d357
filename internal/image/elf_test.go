package image

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProgramLoaders: the loader has to be where programs name it, not only
// among the libraries.
func TestProgramLoaders(t *testing.T) {
	const named, there = "/lib64/ld-linux-x86-64.so.2", libraries + "/ld-linux-x86-64.so.2"
	if _, err := os.Stat(filepath.Join("/", there)); err != nil {
		t.Skipf("needs Debian for x86-64: %v", err)
	}
	got, err := programLoaders("/", []string{"usr/bin/env", "usr/bin/cat"})
	if err != nil || len(got) != 1 || got[named] != there {
		t.Errorf("loaders %v, %v", got, err)
	}
	if _, err := programLoaders("/", []string{"etc/passwd"}); err == nil {
		t.Error("what is no program has a loader")
	}
}
