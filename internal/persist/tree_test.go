package persist

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// look describes all that there is below dir, down to what only root sees:
// owners, device numbers, attributes, times to the nanosecond, which names are
// one file. Sockets are left out, since nobody saves them.
func look(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	names := map[uint64][]string{}
	err := filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil || full == dir {
			return err
		}
		rel, err := filepath.Rel(dir, full)
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(full, &st); err != nil {
			return err
		}
		text := fmt.Sprintf("mode %o owner %d:%d time %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFSOCK:
			return nil
		case unix.S_IFREG:
			data, err := os.ReadFile(full)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" size %d sum %x", len(data), sha256.Sum256(data))
			names[st.Ino] = append(names[st.Ino], rel)
		case unix.S_IFLNK:
			to, err := os.Readlink(full)
			if err != nil {
				return err
			}
			text += " -> " + to
		case unix.S_IFCHR, unix.S_IFBLK:
			text += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
		}
		attrs, err := attributes(full)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			text += fmt.Sprintf(" %s=%q", name, attrs[name])
		}
		all[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range names {
		if len(same) > 1 {
			for _, n := range same {
				all[n] += " same as " + strings.Join(same, ", ")
			}
		}
	}
	return all
}

// same fails the test if two directories differ in anything.
func same(t *testing.T, want, got string) {
	t.Helper()
	if d := cmp.Diff(look(t, want), look(t, got)); d != "" {
		t.Errorf("trees differ (-want +got):\n%s", d)
	}
}

// fill writes files below dir; a name that ends in / is a directory, a value
// that begins with "-> " a symbolic link.
func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		full, text := filepath.Join(dir, name), files[name]
		mkdir := filepath.Dir(full)
		if strings.HasSuffix(name, "/") {
			mkdir = full
		}
		err := os.MkdirAll(mkdir, 0o755)
		if to, link := strings.CutPrefix(text, "-> "); link && err == nil {
			err = os.Symlink(to, full)
		} else if !strings.HasSuffix(name, "/") && err == nil {
			err = os.WriteFile(full, []byte(text), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// root skips a test that makes what only root may.
func root(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes device nodes, other users' files and trusted attributes")
	}
}

func mustSave(t *testing.T, dir, upper string, o Options) Saved {
	t.Helper()
	s, err := Save(t.Context(), dir, upper, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRestore(t *testing.T, dir, upper string) Restored {
	t.Helper()
	r, err := Restore(t.Context(), dir, upper, Prefer{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everything makes an upper directory with one of each thing there can be.
func everything(t *testing.T, upper string) {
	t.Helper()
	fill(t, upper, map[string]string{
		"etc/hostname": "array\n", "etc/empty": "", "etc/localtime": "-> /usr/share/zoneinfo/Europe/Berlin", "etc/dangling": "-> ../../nowhere",
		"etc/many/names": "one file\n", "etc/with space\nand newline": "x", "etc/\xff\xfe": "no UTF-8", "etc/" + strings.Repeat("long", 60): "long name",
		"var/lib/esos/revisions/000001.yaml": "# esos-revision\n", "opt/vendor/tool": strings.Repeat("\x7fELF", 50000), "root/.ssh/authorized_keys": "ssh-ed25519 A\n",
		"root/deep/er/and/er/": "",
	})
	at := func(p string) string { return filepath.Join(upper, p) }
	past := []unix.Timespec{{Sec: 1000000000, Nsec: 1}, {Sec: 1100000000, Nsec: 123456789}}
	acl := string([]byte{2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0xd2, 4, 0, 0, 4, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	capability := string([]byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	for _, err := range []error{
		unix.Mknod(at("etc/deleted"), unix.S_IFCHR, 0), // a whiteout
		unix.Mknod(at("etc/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Mknod(at("etc/disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 1048575))),
		unix.Mkfifo(at("var/lib/pipe"), 0o600),
		os.Link(at("etc/many/names"), at("etc/many/other")), os.Link(at("etc/many/names"), at("root/third")),
		os.Mkdir(at("etc/replaced"), 0o1777), unix.Lsetxattr(at("etc/replaced"), "trusted.overlay.opaque", []byte("y"), 0),
		unix.Lsetxattr(at("etc/replaced"), "trusted.overlay.origin", []byte("of this boot"), 0), // is not to come back
		os.Lchown(at("etc/localtime"), 7, 8), os.Lchown(at("root/third"), 70000, 4294967294),
		unix.Chmod(at("opt/vendor/tool"), 0o6755), unix.Chmod(at("root"), 0o700),
		unix.Lsetxattr(at("opt/vendor/tool"), "security.capability", []byte(capability), 0),
		unix.Lsetxattr(at("etc/hostname"), "system.posix_acl_access", []byte(acl), 0),
		unix.Lsetxattr(at("etc/hostname"), "user.empty", nil, 0),
		unix.Lsetxattr(at("etc/hostname"), "user.a=b%3D", []byte("bin\x00ary\n"), 0),
		unix.Lsetxattr(at("etc/localtime"), "trusted.link", []byte("on a link"), 0),
		unix.UtimesNanoAt(unix.AT_FDCWD, at("etc/localtime"), past, unix.AT_SYMLINK_NOFOLLOW),
		unix.UtimesNanoAt(unix.AT_FDCWD, at("etc/many"), past, 0), unix.UtimesNanoAt(unix.AT_FDCWD, at("var"), past, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	root(t)
	dir, upper, back := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "upper")
	everything(t, upper)
	listen(t, filepath.Join(upper, "etc/socket"))
	s := mustSave(t, dir, upper, Options{Reason: "test", Slot: "PRIMARY", Version: "1.2"})
	r := mustRestore(t, dir, back)
	if r.From != FromGeneration || len(r.Skipped) > 0 || r.Files != s.Generation.Files || r.Files != len(look(t, back)) {
		t.Errorf("restored %+v of %+v", r, s)
	}
	if d := cmp.Diff(&s.Generation, r.Generation); d != "" {
		t.Errorf("generation (-saved +restored):\n%s", d)
	}
	if g := r.Generation; g.Number != 1 || g.Reason != "test" || g.Slot != "PRIMARY" || g.Version != "1.2" {
		t.Errorf("generation: %+v", g)
	}
	if err := unix.Lremovexattr(filepath.Join(upper, "etc/replaced"), "trusted.overlay.origin"); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Lgetxattr(filepath.Join(back, "etc/replaced"), "trusted.overlay.origin", nil); !errors.Is(err, unix.ENODATA) {
		t.Errorf("an attribute about this boot's image came back: %v", err)
	}
	same(t, upper, back)

	// Once more, over what is there, and over what is in the way.
	if again := mustRestore(t, dir, back); again.Files != r.Files {
		t.Errorf("the second restore: %+v", again)
	}
	same(t, upper, back)
	outside := t.TempDir()
	fill(t, outside, map[string]string{"authorized_keys": "a stranger's"})
	for _, err := range []error{
		os.RemoveAll(filepath.Join(back, "root/.ssh")), os.Symlink(outside, filepath.Join(back, "root/.ssh")),
		os.Remove(filepath.Join(back, "etc/hostname")), os.Mkdir(filepath.Join(back, "etc/hostname"), 0o755), os.Mkdir(filepath.Join(back, "etc/hostname/x"), 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	mustRestore(t, dir, back)
	same(t, upper, back)
	if text, err := os.ReadFile(filepath.Join(outside, "authorized_keys")); err != nil || string(text) != "a stranger's" {
		t.Errorf("a symbolic link was followed: %q, %v", text, err)
	}
}

// TestOverlay goes the whole way: a real overlay on a file system in memory is
// changed, its upper directory saved, a new one restored and mounted over the
// same lower directory: it has to show the same tree.
func TestOverlay(t *testing.T) {
	root(t)
	base := t.TempDir()
	for _, d := range []string{"mem", "conf", "first", "second"} {
		if err := os.Mkdir(filepath.Join(base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	at := func(p string) string { return filepath.Join(base, p) }
	mount(t, "tmpfs", "tmpfs", at("mem"), "")
	fill(t, at("mem/lower"), map[string]string{
		"etc/passwd": "root:x:0:0\n", "etc/fstab": "# none\n", "etc/ssh/sshd_config": "Port 22\n", "etc/cron.d/job": "x", "etc/cron.d/other": "y", "etc/old/name": "z",
		"usr/bin/tool": "binary", "var/lib/dpkg/status": "old", "var/log/messages": "", "opt/": "", "root/.profile": "# p\n",
	})
	for _, d := range []string{"up1", "wk1", "up2", "wk2"} {
		if err := os.Mkdir(at("mem/"+d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	over := func(n, where string) {
		t.Helper()
		mount(t, "overlay", "overlay", where, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,%s", at("mem/lower"), at("mem/up"+n), at("mem/wk"+n), OverlayOptions))
	}
	over("1", at("first"))
	in := func(p string) string { return filepath.Join(at("first"), p) }
	appendTo, err := os.OpenFile(in("etc/passwd"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range []error{
		second(appendTo.WriteString("admin:x:1000:1000\n")), appendTo.Close(),
		os.Remove(in("etc/fstab")),                                        // deleted
		os.RemoveAll(in("etc/cron.d")), os.Mkdir(in("etc/cron.d"), 0o755), // replaced: opaque
		os.WriteFile(in("etc/cron.d/mine"), []byte("m"), 0o600),
		os.RemoveAll(in("etc/ssh")), os.Symlink("/opt/ssh", in("etc/ssh")), // a directory becomes a link
		os.Chmod(in("root/.profile"), 0o400), // metadata only
		os.Chown(in("opt"), 5, 6),            // of a directory
		os.Mkdir(in("var/lib/esos"), 0o700), os.WriteFile(in("var/lib/esos/a"), []byte("a"), 0o600), os.Link(in("var/lib/esos/a"), in("var/lib/esos/b")),
		os.WriteFile(in("var/lib/dpkg/status"), []byte("new"), 0o600), // excluded
		os.WriteFile(in("usr/bin/tool"), []byte("changed"), 0o700),    // not kept
		unix.Lsetxattr(in("opt"), "trusted.mine", []byte("v"), 0),
	} {
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	// A directory of the image cannot be renamed in place: what mv does then.
	if err := os.Rename(in("etc/old"), in("etc/new")); !errors.Is(err, unix.EXDEV) {
		t.Errorf("a directory of the image was renamed in place: %v; its files would not be saved", err)
	}
	before := look(t, at("first"))

	// The medium is an ext4 where that can be had.
	loop := filepath.Join(base, "conf.img")
	if err := mountImage(t, loop, at("conf")); err != nil {
		t.Logf("the medium is a plain directory: %v", err)
	}
	saved := mustSave(t, at("conf"), at("mem/up1"), Options{Reason: "test"})
	t.Logf("saved %d entries, %d bytes, as an archive of %d bytes in %v", saved.Generation.Files, saved.Generation.Size, saved.Generation.Archive, saved.Took)
	if r := mustRestore(t, at("conf"), at("mem/up2")); r.Files != saved.Generation.Files || len(r.Skipped) > 0 {
		t.Fatalf("restored %+v", r)
	}
	over("2", at("second"))
	got := look(t, at("second"))
	for p, want := range map[string]string{"var/lib/dpkg/status": "old", "usr/bin/tool": "binary"} {
		if text, err := os.ReadFile(filepath.Join(at("second"), p)); string(text) != want {
			t.Errorf("%s is %q (%v), want the image's", p, text, err)
		}
	}
	for p := range before {
		if _, err := os.Lstat(filepath.Join(at("mem/lower"), p)); err == nil || !kept(p) {
			// The image's own times and link counts are none of the settings.
			if p == "usr" || strings.HasPrefix(p, "usr/") || strings.HasPrefix(p, "var/lib/dpkg") {
				delete(before, p)
				delete(got, p)
			}
		}
	}
	if d := cmp.Diff(before, got); d != "" {
		t.Errorf("the tree after the restore (-before +after):\n%s", d)
	}
}

func second[T any](_ T, err error) error { return err }
