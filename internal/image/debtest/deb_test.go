package debtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/image/debtest"
)

func example() debtest.Package {
	return debtest.Package{
		Name: "esos-test", Version: "1.2-3", Depends: "libc6",
		Files: []debtest.File{
			{Path: "/usr/lib/modules/6.12.0-test/extra/esostest.ko", Data: debtest.Module("esostest", "alias=pci:v0000BEEFd*", "depends=")},
			{Path: "/usr/sbin/esos-test", Data: []byte("#!/bin/sh\necho here\n"), Mode: 0o755},
			{Path: "/usr/sbin/esos-link", Link: "esos-test"},
		},
	}
}

// write writes the example to a file.
func write(t *testing.T) string {
	t.Helper()
	data, err := example().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	again, err := example().Bytes()
	if err != nil || !bytes.Equal(data, again) {
		t.Fatalf("the same package twice is not the same (%v)", err)
	}
	name := filepath.Join(t.TempDir(), "test.deb")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("there is no %s here", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestDpkgTakesIt has dpkg's own program read what was made.
func TestDpkgTakesIt(t *testing.T) {
	deb := write(t)
	fields := run(t, "dpkg-deb", "--field", deb)
	for _, want := range []string{"Package: esos-test\n", "Version: 1.2-3\n", "Architecture: amd64\n", "Depends: libc6\n"} {
		if !strings.Contains(fields, want) {
			t.Errorf("its fields lack %q:\n%s", want, fields)
		}
	}
	dir := t.TempDir()
	run(t, "dpkg-deb", "--extract", deb, dir)
	if out, err := exec.Command(filepath.Join(dir, "usr/sbin/esos-link")).CombinedOutput(); err != nil || string(out) != "here\n" {
		t.Errorf("the program says %q, %v", out, err)
	}
}

// TestDepmodTakesTheModule has depmod index the module.
func TestDepmodTakesTheModule(t *testing.T) {
	deb := write(t)
	dir := t.TempDir()
	run(t, "dpkg-deb", "--extract", deb, dir)
	// depmod of Debian's releases up to now looks below lib/.
	if err := os.Symlink("usr/lib", filepath.Join(dir, "lib")); err != nil {
		t.Fatal(err)
	}
	run(t, "depmod", "-b", dir, "6.12.0-test")
	for file, want := range map[string]string{
		"modules.dep":   "extra/esostest.ko:",
		"modules.alias": "alias pci:v0000BEEFd* esostest",
	} {
		text, err := os.ReadFile(filepath.Join(dir, "usr/lib/modules/6.12.0-test", file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %q (%v):\n%s", file, want, err, text)
		}
	}
	if out := run(t, "modinfo", filepath.Join(dir, "usr/lib/modules/6.12.0-test/extra/esostest.ko")); !strings.Contains(out, "GPL") {
		t.Errorf("modinfo says:\n%s", out)
	}
}

func TestRefusesPaths(t *testing.T) {
	for _, path := range []string{"usr/bin/x", "/usr/../etc/passwd", "/usr/bin/"} {
		if _, err := (debtest.Package{Name: "x", Files: []debtest.File{{Path: path}}}).Bytes(); err == nil {
			t.Errorf("a package with %q was made", path)
		}
	}
}
