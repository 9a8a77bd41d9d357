package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/esos-project/esos/internal/vm"
)

// excluded is what the guest does without: half of the image's size.
var excluded = []string{
	"./usr/share/doc*", "./usr/share/man*", "./usr/share/locale*", "./usr/share/info*", "./usr/share/i18n*",
	"./usr/share/lintian*", "./usr/share/bash-completion*", "./usr/share/zoneinfo*", "./usr/share/perl*",
	"./usr/share/fio*", "./usr/lib/x86_64-linux-gnu/perl*", "./usr/lib/python3*", "./usr/lib/x86_64-linux-gnu/gconv*",
	"./usr/lib/udev/hwdb.d*",
}

// skipped packages are dependencies of scripts and of package management that
// the guest never runs.
var skipped = []string{"python3", "libpython3", "perl", "libperl", "debconf", "dpkg", "initramfs-tools", "systemd"}

// root is the guest's file system as a directory, made without a postinst: the
// few things those do that matter here are done in configure.
type root struct {
	dir   string // the tree
	stage string // where the kernel package is unpacked, to choose modules from
}

// unpack lays the packages' files into the tree. The directories of the
// merged /usr are links beforehand, as they are on every Debian now.
func (r root) unpack(ctx context.Context, apt aptCache, debs []deb) error {
	if err := os.MkdirAll(r.stage, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(r.dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	for _, d := range debs {
		dir := r.dir
		switch {
		case strings.HasPrefix(d.name(), "linux-image-"):
			dir = r.stage
		case isSkipped(d.name()):
			continue
		}
		if err := unpackDeb(ctx, apt.archive(d), dir); err != nil {
			return err
		}
	}
	return nil
}

func isSkipped(name string) bool {
	for _, s := range skipped {
		if strings.HasPrefix(name, s) {
			return true
		}
	}
	return false
}

func unpackDeb(ctx context.Context, archive, dir string) error {
	args := []string{"-x", "-C", dir, "--keep-directory-symlink", "--wildcards"}
	for _, e := range excluded {
		args = append(args, "--exclude="+e)
	}
	read := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", archive)
	write := exec.CommandContext(ctx, "tar", args...)
	var said bytes.Buffer
	read.Stderr, write.Stderr = &said, &said
	pipe, err := read.StdoutPipe()
	if err != nil {
		return err
	}
	write.Stdin = pipe
	if err := read.Start(); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(archive), err)
	}
	writeErr := write.Run()
	if err := read.Wait(); err != nil {
		return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(archive), err, said.Bytes())
	}
	if writeErr != nil {
		return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(archive), writeErr, said.Bytes())
	}
	return nil
}

// configure writes what the guest's own scripts need.
func (r root) configure(ctx context.Context) error {
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "mnt", "root", "var/lib/iscsi", "etc/iscsi", "etc/multipath"} {
		if err := os.MkdirAll(filepath.Join(r.dir, dir), 0o755); err != nil {
			return err
		}
	}
	files := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"usr/sbin/init", rootInit, 0o755},
		{"usr/lib/esos-agent", vm.AgentScript, 0o644},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644},
		{"etc/group", "root:x:0:\ntty:x:5:\ndisk:x:6:\nkmem:x:15:\ndialout:x:20:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\nvideo:x:44:\ninput:x:104:\nkvm:x:105:\nrender:x:106:\nsgx:x:107:\nlp:x:7:\n", 0o644},
		{"etc/hostname", "guest\n", 0o644},
		{"etc/fstab", "", 0o644},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(r.dir, f.name), []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return r.linkApplets(ctx)
}

// linkApplets gives every busybox command a name that no package took.
func (r root) linkApplets(ctx context.Context) error {
	list, err := run(ctx, filepath.Join(r.dir, "usr/bin/busybox"), "--list")
	if err != nil {
		return err
	}
	for _, applet := range strings.Fields(list) {
		taken := false
		for _, dir := range []string{"usr/bin", "usr/sbin"} {
			if _, err := os.Lstat(filepath.Join(r.dir, dir, applet)); err == nil {
				taken = true
			}
		}
		if taken {
			continue
		}
		if err := os.Symlink("busybox", filepath.Join(r.dir, "usr/bin", applet)); err != nil {
			return err
		}
	}
	return nil
}
