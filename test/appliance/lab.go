// Package appliance boots the appliance's image in virtual machines, as it
// would be on a stick, and speaks to it from outside: over iSCSI and SSH. The
// tests hold the image to what it promises; bench/boot takes its time.
package appliance

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/internal/image"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/iso"
)

// ImageVariable is the environment variable that names a work directory of
// `mkesos build` whose image is taken as it is, instead of making one.
const ImageVariable = "ESOS_IMAGE"

// Lab is an image, and what all media made of it have in common: the port that
// iSCSI is reached by, and a key that may log in.
type Lab struct {
	Out string // the build's results: slot, GRUB, recipe

	root string // of the source
	work string
	dir  string
	port int // of this host, forwarded to the portal
	key  ssh.Signer
}

// Open makes the image with `make image` if it is not there or is older than
// the source. Media go to dir.
func Open(ctx context.Context, root, dir string, progress io.Writer) (*Lab, error) {
	l := &Lab{root: root, dir: dir, work: filepath.Join(root, ".cache", "image")}
	if work := os.Getenv(ImageVariable); work != "" {
		l.work = work
	} else {
		cmd := exec.CommandContext(ctx, "make", "image")
		cmd.Dir = root
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = progress, io.MultiWriter(progress, &said)
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("make image: %w\n%s", err, said.Bytes())
		}
	}
	l.Out = filepath.Join(l.work, "out")
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if l.key, err = ssh.NewSignerFromKey(private); err != nil {
		return nil, err
	}
	if l.port, err = freePort(); err != nil {
		return nil, err
	}
	return l, nil
}

// freePort returns a port of the loopback that nobody listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// Document is examples/appliance.yaml, announced where this lab forwards.
func (l *Lab) Document() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(l.root, "examples", "appliance.yaml"))
	if err != nil {
		return nil, err
	}
	const announced = "127.0.0.1:3260"
	if !bytes.Contains(text, []byte(announced)) {
		return nil, fmt.Errorf("examples/appliance.yaml does not announce %s", announced)
	}
	return bytes.ReplaceAll(text, []byte(announced), []byte("127.0.0.1:"+strconv.Itoa(l.port))), nil
}

// Medium makes a medium whose first boot finds Document and lets this lab log
// in, and returns its file.
func (l *Lab) Medium(ctx context.Context, name string) (string, error) {
	plan, err := l.plan(name)
	if err != nil {
		return "", fmt.Errorf("make the medium %s: %w", name, err)
	}
	file := filepath.Join(l.dir, name+".img")
	if err := medium.Build(ctx, plan, file); err != nil {
		return "", fmt.Errorf("make the medium %s: %w", name, err)
	}
	return file, nil
}

// ISO makes an ISO that installs such a medium without asking. install are
// kernel arguments that say where.
func (l *Lab) ISO(ctx context.Context, name string, install ...string) (string, error) {
	plan, err := l.plan(name)
	if err != nil {
		return "", fmt.Errorf("make the ISO %s: %w", name, err)
	}
	file := filepath.Join(l.dir, name+".iso")
	return file, iso.Build(ctx, iso.Plan{
		Recipe: plan.Recipe, Tools: plan.Tools, Slot: plan.Slot, GRUB: plan.GRUB, Seed: plan.Seed,
		Install: append(install, "no_prompt=1"), Unattended: true,
	}, file)
}

// plan is that of a medium of the build's slot, with this lab's settings.
func (l *Lab) plan(name string) (medium.Plan, error) {
	recipe, err := medium.LoadRecipe(filepath.Join(l.Out, medium.RecipeFile))
	if err != nil {
		return medium.Plan{}, err
	}
	tools, err := l.Tools()
	if err != nil {
		return medium.Plan{}, err
	}
	document, err := l.Document()
	if err != nil {
		return medium.Plan{}, err
	}
	seed := filepath.Join(l.dir, name+".seed")
	if err := image.WriteSeed(seed, document, ssh.MarshalAuthorizedKey(l.key.PublicKey())); err != nil {
		return medium.Plan{}, err
	}
	return medium.Plan{Recipe: recipe, Tools: tools, Slot: filepath.Join(l.Out, "slot"), GRUB: filepath.Join(l.Out, image.GRUBDir), Seed: seed}, nil
}

// Tools are those that the image was made with.
func (l *Lab) Tools() (*image.Tools, error) {
	recipe, err := medium.LoadRecipe(filepath.Join(l.Out, medium.RecipeFile))
	if err != nil {
		return nil, err
	}
	return image.OpenTools(l.work, time.Unix(recipe.Time, 0))
}

// Overlay makes a disk that begins as file and keeps what is written to it
// beside it, as an image that may be larger.
func (l *Lab) Overlay(ctx context.Context, file, name string, size int64) (string, error) {
	overlay := filepath.Join(l.dir, name+".qcow2")
	out, err := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", file, overlay, strconv.FormatInt(size, 10)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("qemu-img create %s: %w: %s", overlay, err, bytes.TrimSpace(out))
	}
	return overlay, nil
}

// Blank makes an empty disk.
func (l *Lab) Blank(name string, size int64) (string, error) {
	file := filepath.Join(l.dir, strings.ReplaceAll(name, "/", "-")+".img")
	f, err := os.Create(file)
	if err != nil {
		return "", err
	}
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return "", err
	}
	return file, f.Close()
}
