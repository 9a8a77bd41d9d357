package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) service() *cobra.Command {
	c := &cobra.Command{
		Use: "service", Aliases: []string{"services"}, Short: "Services of the appliance, such as SNMP or multipath",
		Long: `Services of the appliance. Those that the document does not name are as the image has
them: off, but for ssh, cron and rsyslog. What ESOS itself needs always runs and is
not among them.`,
	}
	list := &cobra.Command{
		Use: "list", Short: "List the services", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Services(ctx)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("name", "at boot", "state", "declared", "for", "")
				for _, s := range all {
					why := s.Why
					if why == "" {
						why = " "
					}
					t.row(s.Name, map[bool]string{true: "on", false: "off"}[s.Enabled], s.State, s.Declared, s.Does, why)
				}
			})
		}),
	}
	restart := &cobra.Command{
		Use: "restart SERVICE", Short: "Stop a service and start it again", Args: cobra.ExactArgs(1), ValidArgsFunction: completeServices,
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			return c.RestartService(ctx, args[0])
		}),
	}
	c.AddCommand(list, a.serviceSwitch("enable", "Start services now and at each boot", true), a.serviceSwitch("disable", "Stop services and keep them from starting", false), restart)
	return c
}

// serviceSwitch makes a command that switches services on or off.
func (a *app) serviceSwitch(use, short string, on bool) *cobra.Command {
	c := &cobra.Command{
		Use: use + " SERVICE...", Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: completeServices,
		Example: fmt.Sprintf("  esos service %s snmp", use),
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if s, err := doc.FindService(name); err == nil {
				s.Enabled = on
				continue
			}
			doc.Services = append(doc.Services, config.Service{Name: name, Enabled: on})
		}
		return nil
	})
}

func completeServices(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, k := range config.ServiceKinds() {
		names = append(names, k.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
