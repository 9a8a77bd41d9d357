package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) user() *cobra.Command {
	c := &cobra.Command{
		Use: "user", Aliases: []string{"users"}, Short: "Who may use the API over the network",
		Long: `Users of the API over TCP. The document's api.listen turns that on; it is off by
default. Over the Unix socket root needs no user. Roles: a viewer sees all but
secrets; an operator also changes what is served, but destroys nothing; an admin
does everything.`,
	}
	list := &cobra.Command{
		Use: "list", Short: "List the users", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			us, err := c.Users(ctx)
			if err != nil {
				return err
			}
			return a.print(us, func(t *table) {
				t.head("name", "role", "password", "tokens")
				for _, u := range us {
					t.row(u.Name, u.Role, yesNo(u.Password != ""), strings.Join(u.Tokens, ","))
				}
			})
		}),
	}
	var role string
	var password bool
	var from secretFrom
	create := &cobra.Command{
		Use: "create USER", Short: "Create a user", Args: cobra.ExactArgs(1),
		Long:    "Create a user. With --password, or a password file, the user can log in with a password;\nwithout, only with tokens ('esos token create').",
		Example: "  esos user create ann --role operator --password\n  esos user create prometheus --role viewer",
	}
	create.Flags().StringVar(&role, "role", "viewer", "admin, operator or viewer")
	create.Flags().BoolVar(&password, "password", false, "ask for a password")
	create.Flags().StringVar(&from.file, "password-file", "", "`file` with the password, - is standard input")
	create.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		u := v1.User{Name: args[0], Role: role}
		if password || from.file != "" {
			p, err := a.secret("password of "+args[0], from)
			if err != nil {
				return err
			}
			u.Password = string(p)
		}
		op, err := c.CreateUser(ctx, u)
		if err != nil {
			return err
		}
		return a.follow(ctx, c, op)
	})
	set := a.userSet()
	remove := &cobra.Command{
		Use: "delete USER", Short: "Delete a user with all tokens and sessions", Args: cobra.ExactArgs(1),
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			_, etag, err := c.User(ctx, args[0])
			if err != nil {
				return err
			}
			op, err := c.DeleteUser(ctx, args[0], etag)
			if err != nil {
				return err
			}
			return a.follow(ctx, c, op)
		}),
	}
	c.AddCommand(list, create, set, remove)
	return c
}

func (a *app) userSet() *cobra.Command {
	var role string
	var password bool
	var from secretFrom
	c := &cobra.Command{
		Use: "set USER", Short: "Change a user's role or password", Args: cobra.ExactArgs(1),
		Long: "Change a user's role or password. Another password ends the sessions that the old one\nopened.",
	}
	c.Flags().StringVar(&role, "role", "", "admin, operator or viewer")
	c.Flags().BoolVar(&password, "password", false, "ask for a new password")
	c.Flags().StringVar(&from.file, "password-file", "", "`file` with the new password, - is standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		if role == "" && !password && from.file == "" {
			return usageError{errNothing}
		}
		var secret config.Secret
		if password || from.file != "" {
			var err error
			if secret, err = a.secret("password of "+args[0], from); err != nil {
				return err
			}
		}
		return a.changeUser(c.Context(), args[0], func(u *v1.User) error {
			if role != "" {
				u.Role = role
			}
			u.Password = string(secret)
			return nil
		})
	}
	return c
}

// changeUser reads a user, edits it and puts it back, again if somebody else
// changed it meanwhile.
func (a *app) changeUser(ctx context.Context, name string, edit func(*v1.User) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	for try := 1; ; try++ {
		u, etag, err := c.User(ctx, name)
		if err != nil {
			return err
		}
		if err := edit(&u); err != nil {
			return err
		}
		op, err := c.PutUser(ctx, u, etag)
		var e *client.Error
		if try < editTries && errors.As(err, &e) && e.Status == http.StatusPreconditionFailed {
			continue
		}
		if err != nil {
			return err
		}
		return a.follow(ctx, c, op)
	}
}

func (a *app) token() *cobra.Command {
	c := &cobra.Command{Use: "token", Aliases: []string{"tokens"}, Short: "Tokens of the API's users, for programs"}
	create := &cobra.Command{
		Use: "create USER TOKEN", Short: "Make a token and print it: it cannot be seen again", Args: cobra.ExactArgs(2),
		Long:    "Make a token named TOKEN for a user and print it. The array keeps only its hash: it\ncannot be seen again.",
		Example: "  esos token create prometheus monitoring > /etc/prometheus/esos.token",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.NewToken(ctx, args[0], args[1])
			if err != nil {
				return err
			}
			if a.output != asTable {
				return a.print(t, nil)
			}
			_, err = fmt.Fprintln(a.out, t.Token)
			return err
		}),
	}
	list := &cobra.Command{
		Use: "list [USER]", Short: "List the names of the tokens", Args: cobra.MaximumNArgs(1),
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			us, err := c.Users(ctx)
			if err != nil {
				return err
			}
			type listed struct {
				User  string `json:"user"`
				Token string `json:"token"`
			}
			all := []listed{}
			for _, u := range us {
				if len(args) == 0 || args[0] == u.Name {
					for _, t := range u.Tokens {
						all = append(all, listed{u.Name, t})
					}
				}
			}
			return a.print(all, func(t *table) {
				t.head("user", "token")
				for _, x := range all {
					t.row(x.User, x.Token)
				}
			})
		}),
	}
	revoke := &cobra.Command{
		Use: "revoke USER TOKEN", Short: "Revoke a token", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeUser(cmd.Context(), args[0], func(u *v1.User) error {
				i := slices.Index(u.Tokens, args[1])
				if i < 0 {
					return notFound(fmt.Errorf("user %s has no token %s; 'esos token list' shows all", u.Name, args[1]))
				}
				u.Tokens = slices.Delete(u.Tokens, i, i+1)
				return nil
			})
		},
	}
	c.AddCommand(create, list, revoke)
	return c
}
