// Package debtest makes small Debian packages, and kernel modules to put into
// them, for tests that need some: without dpkg, and the same bytes each time.
package debtest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// Package is a Debian package to be.
type Package struct {
	Name         string
	Version      string
	Architecture string // amd64 if empty
	Depends      string
	Files        []File
}

// File is a file of a package.
type File struct {
	Path string // absolute
	Data []byte
	Mode int64  // 0644 if 0
	Link string // where it points, of a symbolic link
}

// Write writes the package: an ar archive of its format's number, control.tar
// and data.tar (deb(5)).
func (p Package) Write(w io.Writer) error {
	control, err := archive([]File{{Path: "/control", Data: []byte(p.control())}}, false)
	if err != nil {
		return fmt.Errorf("make package %s: its control archive: %w", p.Name, err)
	}
	data, err := archive(p.Files, true)
	if err != nil {
		return fmt.Errorf("make package %s: its data archive: %w", p.Name, err)
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	for _, member := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", control}, {"data.tar.gz", data}} {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", member.name, 0, 0, 0, 0o100644, len(member.data))
		b.Write(member.data)
		if len(member.data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	_, err = w.Write(b.Bytes())
	return err
}

// Bytes returns the package.
func (p Package) Bytes() ([]byte, error) {
	var b bytes.Buffer
	err := p.Write(&b)
	return b.Bytes(), err
}

func (p Package) control() string {
	architecture := p.Architecture
	if architecture == "" {
		architecture = "amd64"
	}
	size := 0
	for _, f := range p.Files {
		size += len(f.Data)
	}
	s := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: ESOS tests <tests@invalid>\nInstalled-Size: %d\n",
		p.Name, p.Version, architecture, (size+1023)/1024)
	if p.Depends != "" {
		s += "Depends: " + p.Depends + "\n"
	}
	return s + "Section: misc\nPriority: optional\nDescription: package made by a test\n"
}

// archive makes a compressed tar; with the directories above its files, as
// dpkg wants them of data archives.
func archive(files []File, directories bool) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	made := map[string]bool{}
	var mkdir func(dir string) error
	mkdir = func(dir string) error {
		if !directories || made[dir] {
			return nil
		}
		made[dir] = true
		if dir != "/" {
			if err := mkdir(path.Dir(dir)); err != nil {
				return err
			}
		}
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "." + strings.TrimSuffix(dir, "/") + "/", Mode: 0o755,
			Uname: "root", Gname: "root", ModTime: time.Unix(0, 0), Format: tar.FormatGNU})
	}
	for _, f := range files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
			return nil, fmt.Errorf("%q is not a clean absolute path", f.Path)
		}
		if err := mkdir(path.Dir(f.Path)); err != nil {
			return nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "." + f.Path, Mode: f.Mode, Size: int64(len(f.Data)),
			Uname: "root", Gname: "root", ModTime: time.Unix(0, 0), Format: tar.FormatGNU}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if f.Link != "" {
			h.Typeflag, h.Linkname, h.Mode, h.Size = tar.TypeSymlink, f.Link, 0o777, 0
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if f.Link == "" {
			if _, err := t.Write(f.Data); err != nil {
				return nil, err
			}
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
