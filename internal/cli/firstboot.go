package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/firstboot"
	"github.com/esos-project/esos/internal/persist/machine"
)

// firstAPI is where the API of an appliance listens that began without a
// document.
const firstAPI = ":8443"

// daemonWait is how long the first boot waits for the daemon. Until then the
// console's password is good, and the next boot ends what was begun.
const daemonWait = 10 * time.Minute

func (a *app) firstBoot() *cobra.Command {
	var settle bool
	c := &cobra.Command{
		Use: "first-boot", Short: "Make an appliance's keys, names and first password", Args: cobra.NoArgs,
		Long: `Make what no two appliances may share: SSH host keys, the names as an iSCSI
initiator and as an NVMe host, and the password of admin, which the consoles show
until it is changed; then the same user in the API. What is there stays. The
appliance's unit esos-first-boot runs it.`,
	}
	c.Flags().BoolVar(&settle, "settle", false, "only take the first password off the consoles, if it was changed")
	c.RunE = func(c *cobra.Command, _ []string) error {
		m := firstboot.Machine{Root: "/", Listen: firstAPI, Log: logger(a.err, false)}
		if settle {
			gone, err := m.Settle()
			if err != nil || !gone {
				return err
			}
			return errors.Join(reloadConsoles(c.Context()), save(c.Context()))
		}
		return a.begin(c.Context(), m)
	}
	return c
}

// begin goes through a first boot. Whatever fails, what was made is saved.
func (a *app) begin(ctx context.Context, m firstboot.Machine) error {
	first, err := m.Prepare()
	// SSH and the consoles wait for no more than this, even if it failed:
	// without them nobody could mend it.
	if _, nerr := sd.SdNotify(false, sd.SdNotifyReady); nerr != nil {
		m.Log.Warn("systemd cannot be told that SSH may start", "err", nerr)
	}
	if !m.Done() {
		err = errors.Join(err, a.beginAPI(ctx, m, &first))
		if err == nil {
			err = errors.Join(m.Finish(), reloadConsoles(ctx))
		}
	}
	return errors.Join(err, save(ctx))
}

func (a *app) beginAPI(ctx context.Context, m firstboot.Machine, first *firstboot.First) error {
	socket := a.socket
	if socket == "" {
		socket = filepath.Join(systemRunDir, socketName)
	}
	c, err := client.New(client.Options{Socket: socket})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, daemonWait)
	defer cancel()
	return m.OpenAPI(ctx, c, first)
}

// reloadConsoles has the consoles show what is above their prompts anew.
func reloadConsoles(ctx context.Context) error {
	return tool(ctx, "show the consoles' text anew", "agetty", "--reload")
}

// save keeps what was made on the medium, if there is one to keep it on.
func save(ctx context.Context) error {
	if _, err := machine.Here(); errors.Is(err, machine.ErrLive) {
		return nil
	}
	return tool(ctx, "save to the medium (it is lost at the next reboot otherwise; esos sync saves it)", "systemctl", "start", "esos-sync.service")
}

// tool runs a program of the appliance.
func tool(ctx context.Context, what, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %s: %w %s", what, name, err, out)
	}
	return nil
}
