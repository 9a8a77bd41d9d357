package kernel

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// images is where image files live: a file system on the data disk.
const images = "/mnt/vdisks/data"

// array is an appliance whose document the test writes.
type array struct {
	*stand.Stand
	engine string
}

// newArray boots an appliance that serves nothing yet, and will with an engine.
func newArray(ctx context.Context, t *testing.T, engine string, o appliance.Options) *array {
	t.Helper()
	a := &array{Stand: shared.New(ctx, t, o), engine: engine}
	a.Boot(ctx)
	const disk = "/dev/disk/by-id/virtio-" + appliance.DataDisk
	a.Pipe(ctx, "esos apply -y -f -", "version: 1\nname: kernel\napi: {listen: '0.0.0.0:8443'}\n")
	a.Run(ctx, "mkfs.ext4 -q "+disk+" && mkdir -p "+images+" && mount "+disk+" "+images)
	return a
}

// document is the text of a document, without the lines that all begin with.
func (a *array) document(rest string) string {
	return "version: 1\nname: kernel\nengine: " + a.engine + "\napi: {listen: '0.0.0.0:8443'}\n" + rest
}

// apply brings a document into force and makes sure that there is nothing left
// to do.
func (a *array) apply(ctx context.Context, rest string, flags ...string) string {
	a.T.Helper()
	said := a.Pipe(ctx, strings.Join(append([]string{"esos apply -y -f -"}, flags...), " "), a.document(rest))
	if again := a.Pipe(ctx, "esos plan -f -", a.document(rest)); !strings.HasPrefix(again, "no changes") {
		a.T.Errorf("the document that was applied is not what is served:\n%s", again)
	}
	return said
}

// reboot has it shut down in good order, and waits until its daemon answers
// again. Nobody logs in meanwhile: discovery through a forwarded port needs an
// announced address, which LIO has not.
func (a *array) reboot(ctx context.Context) {
	a.T.Helper()
	a.Console().Forget()
	_, _ = a.Remote.Run(ctx, "systemctl --no-block reboot") // the connection may end before the command does
	if err := a.WaitFor(ctx, appliance.KernelMarker); err != nil {
		a.T.Fatal(err)
	}
	_ = a.Remote.Close()
	r, err := a.SSH(ctx)
	if err != nil {
		a.T.Fatal(err)
	}
	a.Remote = r
	a.Until(ctx, "esos status >/dev/null 2>&1 && echo it answers", "it answers")
}

// drives are further disks of an appliance.
func drives(file, serial string) []vm.Drive { return []vm.Drive{{File: file, Serial: serial}} }

// tests builds the tests of a package for the appliance, and puts them there.
func (a *array) tests(ctx context.Context, pkg, name string) {
	a.T.Helper()
	file := filepath.Join(a.T.TempDir(), name)
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", file, pkg)
	cmd.Dir = level.Root(a.T)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		a.T.Fatalf("build the tests of %s: %v\n%s", pkg, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		a.T.Fatal(err)
	}
	a.Pipe(ctx, "cat > /tmp/"+name+" && chmod +x /tmp/"+name, string(text))
}
