package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
)

func (a *app) alert() *cobra.Command {
	c := &cobra.Command{Use: "alert", Aliases: []string{"alerts"}, Short: "What of the machine needs somebody"}
	list := &cobra.Command{
		Use: "list", Short: "List the active alerts, the gravest first", Args: cobra.NoArgs,
		Long: "List the active alerts, the gravest first. An alert stands as long as its cause does;\n'esos events' tells when alerts came and went.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Alerts(ctx)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("severity", "id", "object", "since", "message")
				for _, x := range all {
					t.row(x.Severity, x.ID, x.Object, when(x.Since), x.Message)
				}
			})
		}),
	}
	c.AddCommand(list)
	return c
}
