package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) login() *cobra.Command {
	var from secretFrom
	c := &cobra.Command{
		Use:   "login USER",
		Short: "Log in to an array elsewhere with a password, and print the session's token",
		Long: `Log in to the array that --api names with a password, and print the token of the
session, for $ESOS_TOKEN. It ends when it is not used for half an hour. Programs
use tokens that stay ('esos token create').`,
		Example: "  export ESOS_API=https://array1:8443 ESOS_FINGERPRINT=sha256:...\n  export ESOS_TOKEN=$(esos login ann)",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&from.file, "password-file", "", "`file` with the password, - is standard input (default: ask on the terminal)")
	c.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		c.SetToken("")
		password, err := a.password(args[0], from)
		if err != nil {
			return err
		}
		session, err := c.Login(ctx, args[0], string(password))
		if err != nil {
			return err
		}
		if a.output != asTable {
			return a.print(session, nil)
		}
		_, err = fmt.Fprintln(a.out, session.Token)
		return err
	})
	return c
}

// password reads a password that exists: typed once.
func (a *app) password(user string, from secretFrom) (config.Secret, error) {
	if from.file != "" || !a.terminal() {
		return a.secret("password of "+user, from)
	}
	fmt.Fprintf(a.err, "Password of %s: ", user)
	b, err := term.ReadPassword(int(a.in.(*os.File).Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len(b) == 0 {
		return "", usageError{errors.New("the password is empty")}
	}
	return config.Secret(b), nil
}
