package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/host"
)

// targetLIP is the one command about targets that works on the machine itself:
// it changes nothing that is declared.
func (a *app) targetLIP() *cobra.Command {
	return &cobra.Command{
		Use: "lip", Short: "Have the fabric look again at this machine's Fibre Channel ports", Args: cobra.NoArgs,
		Long: `Issue a LIP at each Fibre Channel and FCoE port of this machine: its loop, or its link to
the switch, begins anew, and hosts and switches look again at what is there. I/O through
the port stops for a moment. It needs root, and not the daemon.`,
		RunE: func(*cobra.Command, []string) error { return a.issueLIP(host.Adapters{}) },
	}
}

func (a *app) issueLIP(adapters host.Adapters) error {
	ports, err := adapters.FCPorts()
	if err != nil {
		return err
	}
	if len(ports) == 0 {
		return notFound(errors.New("this machine has no Fibre Channel port: is the adapter's driver loaded?"))
	}
	var failed []error
	for _, p := range ports {
		err := adapters.IssueLIP(p)
		if err == nil {
			fmt.Fprintf(a.out, "%s (%s): done\n", p.Host, p.WWPN)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
