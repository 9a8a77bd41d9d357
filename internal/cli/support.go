package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) supportBundle() *cobra.Command {
	c := &cobra.Command{
		Use: "support-bundle [FILE]", Short: "Gather what somebody needs who is to find out what is wrong", Args: cobra.MaximumNArgs(1),
		Long: `Write a tar.gz with what somebody needs who is to find out what is wrong with this
machine: the document, its history, how the array is and what it did, the logs, the
kernel's messages, disks, network and versions. Without FILE it goes to /tmp; FILE - is
the standard output. As root there is more in it.

Secrets are not: the document's read (secret), and where one of them occurs elsewhere,
in a log for example, it is taken out. Files of passwords and keys are not looked at.
Names, addresses and serial numbers are in it.`,
		Example: "  esos support-bundle\n  ssh root@array esos support-bundle - >array.tar.gz",
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		host, _ := os.Hostname()
		name := filepath.Join(os.TempDir(), fmt.Sprintf("esos-support-%s-%s.tar.gz", host, time.Now().UTC().Format("20060102-150405")))
		if len(args) == 1 {
			name = args[0]
		}
		if err := a.writeTo(name, func(w io.Writer) error { return a.support(c.Context(), w) }); err != nil {
			return fmt.Errorf("write the support bundle %s: %w", name, err)
		}
		if name != "-" {
			fmt.Fprintf(a.out, "%s\n", name)
		}
		return nil
	}
	return c
}

// bundle is a support bundle that is being written.
type bundle struct {
	tar     *tar.Writer
	secrets [][]byte // to be taken out
	log     bytes.Buffer
	now     time.Time
}

// most is how much of one file, or of what one command says, is taken: its end.
const mostOfOne = 32 << 20

func (a *app) support(ctx context.Context, w io.Writer) error {
	z := gzip.NewWriter(w)
	b := &bundle{tar: tar.NewWriter(z), now: time.Now()}
	a.secretsFor(ctx, b)
	var errs []error
	for _, args := range [][]string{{"version"}, {"status"}, {"config", "show"}, {"config", "history"}, {"drift"}, {"session", "list"}, {"statistics"}, {"operation", "list"},
		{"alert", "list"}, {"disk", "list"}, {"array", "list"}, {"volume-group", "list"}, {"volume", "list"}, {"filesystem", "list"}, {"encryption", "list"}, {"multipath", "list"},
		{"snapshot", "list"}, {"network", "status"}, {"service", "list"}, {"nvme", "connection", "list"}, {"events"},
		{"slot", "list"}, {"config", "generations"}, {"medium", "status"}, {"upgrade", "status"}, {"crash", "list"}, {"logs", "list"}} {
		errs = append(errs, b.say(a.oneself(ctx, args), "esos/"+strings.Join(args, "-")+".txt"))
	}
	for _, line := range supportCommands() {
		errs = append(errs, b.say(b.run(ctx, line), "commands/"+strings.NewReplacer(" ", "_", "/", "-").Replace(line)+".txt"))
	}
	for _, pattern := range supportFiles() {
		names, _ := filepath.Glob(pattern)
		for _, name := range names {
			errs = append(errs, b.tree(name))
		}
	}
	errs = append(errs, b.say(b.log.Bytes(), "left-out.txt"), b.tar.Close(), z.Close())
	return errors.Join(errs...)
}

// supportCommands say how the machine is. Programs' arguments are not among it:
// some may hold secrets.
func supportCommands() []string {
	return []string{"uname -a", "uptime", "dmesg", "lsblk -O", "lsblk -f", "lsmod", "lspci -nn", "lsscsi -s", "free -m", "df -h", "mount", "ps -eo pid,ppid,stat,etime,rss,pcpu,comm",
		"ip -s address", "ip -6 route", "ip route", "ss -tanp", "mdadm --detail --scan", "pvs -a", "vgs", "lvs -a", "dmsetup status", "multipath -ll", "nvme list", "last -n 50",
		"systemctl --failed", "systemctl list-units --no-pager", "journalctl -b --no-pager -n 20000", "dpkg-query -W"}
}

// supportFiles are patterns of files and directories that hold no secrets.
func supportFiles() []string {
	return []string{"/etc/os-release", "/etc/esos-release", "/etc/hostname", "/etc/hosts", "/etc/fstab", "/etc/resolv.conf", "/etc/mdadm/mdadm.conf", "/etc/lvm/lvm.conf",
		"/etc/modprobe.d/*.conf", "/etc/modules-load.d/*.conf", "/etc/sysctl.d/*.conf", "/etc/systemd/network/*", "/etc/udev/rules.d/*", "/etc/multipath.conf",
		"/run/esos/boot.json", "/run/esos/saved.json", "/proc/mdstat", "/proc/meminfo", "/proc/cpuinfo", "/proc/cmdline", "/proc/interrupts", "/proc/partitions", "/var/log"}
}

// secretsFor learns what is to be taken out; only the socket tells, and only some.
func (a *app) secretsFor(ctx context.Context, b *bundle) {
	c, err := a.connect()
	if err != nil {
		return
	}
	defer c.Close()
	docs := []func() (client.Document, error){func() (client.Document, error) { return c.Document(ctx, true) }}
	if all, err := c.Revisions(ctx); err == nil {
		for _, r := range all { // logs may be older than the document
			docs = append(docs, func() (client.Document, error) { return c.RevisionDocument(ctx, r.Number, true) })
		}
	}
	for _, read := range docs[:min(len(docs), 100)] {
		d, err := read()
		if err != nil {
			continue
		}
		doc, err := config.Decode("the array's document", d.Text)
		if err != nil {
			continue
		}
		for _, s := range doc.Secrets() {
			if len(s) >= 4 && !slices.ContainsFunc(b.secrets, func(have []byte) bool { return string(have) == s }) {
				b.secrets = append(b.secrets, []byte(s))
			}
		}
	}
	// One may be a part of another: the longest first.
	slices.SortFunc(b.secrets, func(x, y []byte) int { return len(y) - len(x) })
}

// oneself runs a command of esos.
func (a *app) oneself(ctx context.Context, args []string) []byte {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var said bytes.Buffer
	if code := Main(ctx, append(a.sameArray(), args...), strings.NewReader(""), &said, &said); code != exitOK {
		fmt.Fprintf(&said, "(exit code %d)\n", code)
	}
	return said.Bytes()
}

func (b *bundle) run(ctx context.Context, line string) []byte {
	words := strings.Fields(line)
	if _, err := exec.LookPath(words[0]); err != nil {
		fmt.Fprintf(&b.log, "%s: there is no such program\n", line)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := c.CombinedOutput()
	if err != nil {
		out = append(out, fmt.Sprintf("(%v)\n", err)...)
	}
	return out
}

// say puts text into the bundle; nothing if there is none.
func (b *bundle) say(text []byte, name string) error {
	if len(text) == 0 {
		return nil
	}
	if over := len(text) - mostOfOne; over > 0 {
		text = append([]byte("(the beginning is left out)\n"), text[over:]...)
	}
	for _, s := range b.secrets {
		text = bytes.ReplaceAll(text, s, []byte(config.Hidden))
	}
	if err := b.tar.WriteHeader(&tar.Header{Name: "esos-support/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: b.now}); err != nil {
		return err
	}
	_, err := b.tar.Write(text)
	return err
}

// tree puts a file, or the files below a directory, into the bundle. What
// cannot be read is named.
func (b *bundle) tree(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || !d.Type().IsRegular()) {
			return nil
		}
		var text []byte
		if err == nil {
			text, err = end(path)
		}
		switch {
		case err != nil:
			fmt.Fprintf(&b.log, "%s: %v\n", path, err)
			return nil
		case bytes.IndexByte(text[:min(len(text), 8192)], 0) >= 0: // nothing can be taken out of these
			fmt.Fprintf(&b.log, "%s: it is no text\n", path)
			return nil
		}
		return b.say(text, "files"+path)
	})
}

// end reads a file, unpacked, of a large one the end.
func end(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(z, mostOfOne))
	}
	if info, err := f.Stat(); err == nil && info.Size() > mostOfOne {
		if _, err := f.Seek(-mostOfOne, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, mostOfOne+1))
}
