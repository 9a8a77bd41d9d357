package raidcli

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// newRoot makes the little of a root that matters.
func newRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"usr/lib/x86_64-linux-gnu/libc.so.6", "usr/lib64/ld-linux-x86-64.so.2", "opt/other/kept"} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// save writes a vendor's file.
func save(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestShapes puts in each program from the shapes that its vendor ships it in.
func TestShapes(t *testing.T) {
	program, static, pie := makeELF(dynamic()), makeELF(elfFile{}), makeELF(elfFile{library: true, pie: true})
	arm := makeELF(elfFile{machine: elf.EM_AARCH64, loader: "/lib/ld-linux-aarch64.so.1"})
	bsd := makeELF(elfFile{osabi: elf.ELFOSABI_FREEBSD})
	old := makeELF(elfFile{machine: elf.EM_386, class: elf.ELFCLASS32})
	esx := append(makeELF(dynamic()), "for ESX"...)
	storcli := []file{{name: "./opt/MegaRAID/storcli/storcli64", data: program}, {name: "./opt/MegaRAID/storcli/storcli", data: old}}

	for _, test := range []struct {
		tool, file string
		data       []byte
		from       string
	}{
		{"storcli64", "007.2707_storcli_rel.zip", makeZip(t,
			file{name: "storcli_rel/readme.txt", data: []byte("read me")},
			file{name: "storcli_rel/Unified_storcli_all_os.zip", data: makeZip(t,
				file{name: "Unified_storcli_all_os/FreeBSD/storcli64.tar.gz", data: gz(t, makeTar(t, file{name: "storcli64", data: bsd}))},
				file{name: "Unified_storcli_all_os/ARM/Linux/storcli64.rpm", data: makeRPM(t, gz, file{name: "./opt/MegaRAID/storcli/storcli64", data: arm})},
				file{name: "Unified_storcli_all_os/Linux/storcli-007.noarch.rpm", data: makeRPM(t, gz, storcli...)},
				file{name: "Unified_storcli_all_os/VMwareOP/a-esxi.tgz", data: gz(t, makeTar(t, file{name: "storcli64", data: esx}))},
			)}), "Linux/storcli-007.noarch.rpm: opt/MegaRAID/storcli/storcli64"},
		{"storcli64", "storcli_007_all.deb", makeDeb(t, file{name: "/opt/MegaRAID/storcli/storcli64", data: program}), "storcli_007_all.deb: opt/MegaRAID"},
		{"perccli64", "PERCCLI_7.1910_Linux.tar.gz", gz(t, makeTar(t, file{name: "./readme.txt"}, file{name: "./perccli-007.noarch.rpm",
			data: makeRPM(t, tool("xz"), file{name: "/opt/MegaRAID/perccli/perccli64", data: program})})), "perccli-007.noarch.rpm: opt/MegaRAID"},
		{"arcconf", "arcconf_v4.zip", makeZip(t, file{name: "freebsd_x64/cmdline/arcconf", data: bsd}, file{name: "linux_x64/cmdline/arcconf", data: program},
			file{name: "linux_x64/static_arcconf/cmdline/arcconf", data: static}), "linux_x64/static_arcconf/cmdline/arcconf"},
		{"hpacucli", "hpacucli-9.40-12.0.x86_64.rpm", makeRPM(t, tool("xz", "--format=lzma"), file{name: "./opt/compaq/hpacucli/bld/hpacucli", data: []byte("#!/bin/sh\n")},
			file{name: "./opt/compaq/hpacucli/bld/.hpacucli", data: program}), "opt/compaq/hpacucli/bld/.hpacucli"},
		{"hpssacli", "hpssacli.rpm", makeRPM(t, tool("bzip2"), file{name: "./opt/hp/hpssacli/bld/hpssacli", data: program},
			file{name: "./usr/sbin/hpssacli", link: "../../opt/hp/hpssacli/bld/hpssacli"}), "opt/hp/hpssacli/bld/hpssacli"},
		{"ssacli", "ssacli-6.rpm", makeRPM(t, zst, file{name: "./opt/smartstorageadmin/ssacli/bin/ssacli", data: program}), "bin/ssacli"},
		{"cli64", "v1.15.8.zip", makeZip(t, file{name: "i386/cli32", data: old}, file{name: `x86_64\cli64`, data: program}), "x86_64/cli64"},
		{"tw_cli", "CLI_linux_10.2.2.zip", makeZip(t, file{name: "x86/tw_cli", data: old}, file{name: "x86_64/tw_cli", data: program}), "x86_64/tw_cli"},
		{"tw_cli.x86_64", "tw_cli-linux-x86_64-9.5.3.tgz", gz(t, makeTar(t, file{name: "tw_cli.x86_64", data: program})), "tw_cli.x86_64"},
		{"MegaCli64", "8-07-14_MegaCLI.zip", makeZip(t, file{name: "Linux/MegaCli-8.07.14-1.noarch.rpm",
			data: makeRPM(t, plain, file{name: "./opt/MegaRAID/MegaCli/MegaCli64", data: program})}), "opt/MegaRAID/MegaCli/MegaCli64"},
		{"megacli64", "download", program, "download"},
		{"storcli64", "storcli64.gz", gz(t, program), "storcli64"},
		{"cli64", "cli64-static.zip", makeZip(t, file{name: "x86_64/cli64", data: static}), "x86_64/cli64"},
		{"cli64", "cli64-static-pie.zip", makeZip(t, file{name: "x86_64/cli64", data: pie}), "x86_64/cli64"},
	} {
		t.Run(test.tool+" from "+test.file, func(t *testing.T) {
			root := newRoot(t)
			done, err := Install(t.Context(), root, test.tool, save(t, test.file, test.data))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(done.From, test.from) {
				t.Errorf("taken from %s, want %s", done.From, test.from)
			}
			if len(done.Missing) > 0 || len(done.Libraries) > 0 {
				t.Errorf("libraries %v, missing %v", done.Libraries, done.Missing)
			}
			got, err := os.ReadFile(filepath.Join(root, done.Path))
			if err != nil {
				t.Fatal(err)
			}
			want := program
			switch {
			case strings.Contains(test.file, "pie"):
				want = pie
			case strings.Contains(test.from+test.file, "static"):
				want = static
			}
			if !bytes.Equal(got, want) {
				t.Error("the program is not the one of the archive")
			}
			for name, target := range map[string]string{done.Command: done.Path, "/usr/local/sbin/" + done.Tool.Name: done.Command} {
				if to, err := os.Readlink(filepath.Join(root, name)); err != nil || to != target {
					t.Errorf("%s leads to %q, %v; want %s", name, to, err, target)
				}
			}
			if st, err := os.Stat(filepath.Join(root, done.Path)); err != nil || st.Mode() != 0o755 {
				t.Errorf("mode %v, %v", st.Mode(), err)
			}
		})
	}
}

// TestRefuses has what holds no such program, or means harm.
func TestRefuses(t *testing.T) {
	program := makeELF(dynamic())
	deep := makeZip(t, file{name: "storcli64", data: program})
	for range maxDepth + 1 {
		deep = makeZip(t, file{name: "a.zip", data: deep})
	}
	rpm := makeRPM(t, gz, file{name: "./storcli64", data: program})
	noTrailer := makeRPM(t, func(_ *testing.T, b []byte) []byte { return b[:bytes.LastIndex(b, []byte("070701"))] }, file{name: "./storcli64", data: program})
	deb := makeDeb(t, file{name: "/storcli64", data: program})
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"not an archive", []byte("hello"), "no storcli64 for x86-64 Linux: no program of that name"},
		{"empty", nil, "no storcli64 for x86-64 Linux"},
		{"another program", makeZip(t, file{name: "perccli64", data: program}), "no program of that name"},
		{"32 bits", makeZip(t, file{name: "storcli64", data: makeELF(elfFile{machine: elf.EM_386, class: elf.ELFCLASS32})}), "only a.zip: storcli64, which is for 32-bit x86"},
		{"ARM and BSD", makeZip(t, file{name: "arm/storcli64", data: makeELF(elfFile{machine: elf.EM_AARCH64})},
			file{name: "bsd/storcli64", data: makeELF(elfFile{osabi: elf.ELFOSABI_FREEBSD})}),
			"only a.zip: arm/storcli64, which is for AARCH64; a.zip: bsd/storcli64, which is for FREEBSD"},
		{"another loader", makeZip(t, file{name: "storcli64", data: makeELF(elfFile{loader: "/libexec/ld-elf.so.1"})}), "another system than Linux"},
		{"a library", makeZip(t, file{name: "storcli64", data: makeELF(elfFile{library: true, soname: "x"})}), "which is a library"},
		{"a damaged program", makeZip(t, file{name: "storcli64", data: program[:70]}), "damaged ELF file"},
		{"zip path", makeZip(t, file{name: "../../etc/storcli64", data: program}), `"../../etc/storcli64" leads out of the archive`},
		{"zip path of Windows", makeZip(t, file{name: `a\..\..\storcli64`, data: program}), "leads out of the archive"},
		{"tar path", makeTar(t, file{name: "a/../../storcli64", data: program}), "leads out of the archive"},
		{"tar path of no interest", makeTar(t, file{name: "../x", data: program}), "leads out of the archive"},
		{"rpm path", makeRPM(t, gz, file{name: "./../storcli64", data: program}), "leads out of the archive"},
		{"too deep", deep, "more than 5 deep"},
		{"cut rpm", rpm[:len(rpm)-20], "unexpected EOF"},
		{"rpm without a trailer", noTrailer, "the cpio archive is cut off: unexpected EOF"},
		{"cut rpm header", rpm[:100], "the rpm's signatures: cut off"},
		{"cut zip", makeZip(t, file{name: "storcli64", data: program})[:40], "read the zip"},
		{"cut deb", deb[:len(deb)-20], "data.tar.gz: "},
		{"cut deb header", deb[:100], "the ar archive is cut off"},
		{"damaged xz", makeRPM(t, func(t *testing.T, b []byte) []byte { return tool("xz")(t, b)[:100] }, file{name: "./storcli64", data: program}), "decompress"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := newRoot(t)
			_, err := Install(t.Context(), root, "storcli64", save(t, "a.zip", test.data))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if _, err := os.Stat(filepath.Join(root, "opt/MegaRAID")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was put in (%v)", err)
			}
		})
	}
	if _, err := Install(t.Context(), newRoot(t), "raidctl", "x"); err == nil || !strings.Contains(err.Error(), "the names are storcli64, perccli64") {
		t.Errorf("an unknown name: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Install(canceled, newRoot(t), "storcli64", save(t, "a.zip", makeZip(t, file{name: "storcli64", data: program}))); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestLibraries: those beside the program come with it, and those it needs of
// the rest of the package; the command shows it where they are.
func TestLibraries(t *testing.T) {
	root := newRoot(t)
	lib := func(soname string, needed ...string) []byte {
		return makeELF(elfFile{library: true, soname: soname, needed: needed})
	}
	rpm := makeRPM(t, gz,
		file{name: "./opt/MegaRAID/storcli/storcli64", data: makeELF(dynamic("libneeded.so.1", "libgone.so.9"))},
		file{name: "./opt/MegaRAID/storcli/libbeside-2.so", data: lib("libbeside-2.so")},
		file{name: "./opt/MegaRAID/storcli/libbeside.so", link: "libbeside-2.so"},
		file{name: "./usr/lib64/libneeded.so.1.4", data: lib("libneeded.so.1", "libdeeper.so")},
		file{name: "./usr/lib64/libdeeper-7.so", data: lib("")},
		file{name: "./usr/lib64/libdeeper.so", link: "libdeeper-7.so"},
		file{name: "./usr/lib64/libunused.so", data: lib("libunused.so")},
		file{name: "./opt/MegaRAID/storcli/libevil.so", link: "/etc/shadow"},
		file{name: "./opt/MegaRAID/storcli/lib32.so", data: makeELF(elfFile{machine: elf.EM_386, class: elf.ELFCLASS32})},
	)
	done, err := Install(t.Context(), root, "storcli64", save(t, "storcli.rpm", rpm))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"libbeside-2.so", "libdeeper-7.so", "libneeded.so.1.4"}, done.Libraries); d != "" {
		t.Errorf("libraries (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"libgone.so.9"}, done.Missing); d != "" {
		t.Errorf("missing (-want +got):\n%s", d)
	}
	const want = "lib: libbeside-2.so libbeside.so>libbeside-2.so libdeeper-7.so libdeeper.so>libdeeper-7.so libneeded.so.1>libneeded.so.1.4 libneeded.so.1.4 storcli64"
	if got := listing(t, filepath.Join(root, "opt/MegaRAID/storcli")); got != want {
		t.Errorf("in its directory: %s\nwant %s", got, want)
	}
	script, err := os.ReadFile(filepath.Join(root, done.Command))
	if err != nil || !strings.Contains(string(script), "LD_LIBRARY_PATH=/opt/MegaRAID/storcli") || !strings.Contains(string(script), `exec /opt/MegaRAID/storcli/storcli64 "$@"`) {
		t.Errorf("the command is %q, %v", script, err)
	}

	// A later version that needs none of them leaves none behind.
	if done, err = Install(t.Context(), root, "storcli64", save(t, "storcli64", makeELF(elfFile{}))); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, filepath.Join(root, "opt/MegaRAID/storcli")); got != "lib: storcli64" {
		t.Errorf("after the second: %s", got)
	}
	if to, err := os.Readlink(filepath.Join(root, done.Command)); err != nil || to != done.Path {
		t.Errorf("the command leads to %q, %v", to, err)
	}
}

// listing is what lies in a directory.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := "lib:"
	for _, e := range entries {
		s += " " + e.Name()
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			s += ">" + to
		}
	}
	return s
}

// TestItRuns puts in a real program, this test, and runs it.
func TestItRuns(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(t)
	done, err := Install(t.Context(), root, "arcconf", save(t, "arcconf.zip", makeZip(t, file{name: "linux_x64/arcconf", data: data})))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(root, done.Path), "-test.run=^$").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("it says %q, %v", out, err)
	}
}

// TestRootHoldsEverything: a link in the root that leads out of it is not
// followed.
func TestRootHoldsEverything(t *testing.T) {
	root, outside := newRoot(t), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "opt/MegaRAID")); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), root, "storcli64", save(t, "a", makeELF(elfFile{}))); err == nil {
		t.Error("it was put in")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside the root: %v, %v", entries, err)
	}
}

func TestListPrepareRemove(t *testing.T) {
	root := newRoot(t)
	if err := Prepare(root); err != nil {
		t.Fatal(err)
	}
	for _, tool := range Known() {
		if to, err := os.Readlink(filepath.Join(root, "usr/local/sbin", tool.Name)); err != nil || to != "/opt/sbin/"+tool.Name {
			t.Errorf("%s: %q, %v", tool.Name, to, err)
		}
	}
	installed := func() (names []string) {
		list, err := List(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Installed {
				names = append(names, s.Name)
			}
		}
		return names
	}
	if got := installed(); got != nil {
		t.Errorf("installed at first: %v", got)
	}
	if _, err := Install(t.Context(), root, "cli64", save(t, "cli64", makeELF(elfFile{}))); err != nil {
		t.Fatal(err)
	}
	if got := installed(); !slices.Equal(got, []string{"cli64"}) {
		t.Errorf("installed: %v", got)
	}
	if err := Remove(root, "cli64"); err != nil {
		t.Fatal(err)
	}
	if got := installed(); got != nil {
		t.Errorf("installed after it was removed: %v", got)
	}
	if err := Remove(root, "cli64"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed twice: %v", err)
	}
}

func TestParseArgument(t *testing.T) {
	for _, test := range []struct{ in, name, file, err string }{
		{"storcli64=a=b.zip", "storcli64", "a=b.zip", ""},
		{"MEGACLI64=x", "MegaCli64", "x", ""},
		{"tw_cli.x86_64=x", "tw_cli", "x", ""},
		{"storcli64", "", "", "write NAME=FILE"},
		{"storcli64=", "", "", "write NAME=FILE"},
		{"zcli=x", "", "", "the names are"},
	} {
		tool, file, err := ParseArgument(test.in)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: %v, want %q", test.in, err, test.err)
			}
			continue
		}
		if err != nil || tool.Name != test.name || file != test.file {
			t.Errorf("%s: %s, %s, %v", test.in, tool.Name, file, err)
		}
	}
}
