package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/config"
)

// discovery stands for the discovery sessions where a target's name can stand.
const discovery = "discovery"

// listedAuth is the authentication of a target or of discovery.
type listedAuth struct {
	Of string `json:"of"`
	config.Auth
}

func (a *app) auth() *cobra.Command {
	c := &cobra.Command{
		Use: "auth", Short: "CHAP: how initiators and targets prove who they are",
		Long: `CHAP users of a target, or of discovery sessions (where TARGET is 'discovery').
Without users no proof is asked for. Secrets have 12 to 255 bytes. They are asked
for on the terminal, or read from a file or standard input; never from the
command line, where others could see them.`,
	}
	c.AddCommand(a.authList(), a.authAdd(), a.authRemove(), a.authMutual(), a.authAlgorithms())
	return c
}

func (a *app) authList() *cobra.Command {
	return &cobra.Command{
		Use: "list [TARGET|discovery]", Short: "List CHAP users", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeTargets,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			var all []listedAuth
			if len(args) == 1 {
				u, err := findAuth(doc, args[0])
				if err != nil {
					return err
				}
				all = []listedAuth{{args[0], *u}}
			} else {
				all = []listedAuth{{discovery, doc.ISCSI.Discovery}}
				for _, t := range doc.Targets {
					all = append(all, listedAuth{t.Name, t.Auth})
				}
			}
			return a.print(all, func(t *table) {
				t.head("of", "who", "name", "for initiators")
				for _, u := range all {
					for _, x := range u.Users {
						t.row(u.Of, "initiator", x.Name, strings.Join(x.Initiators, " "))
					}
					if u.Mutual != nil {
						t.row(u.Of, "target", u.Mutual.Name, "")
					}
				}
			})
		}),
	}
}

func (a *app) authAdd() *cobra.Command {
	var initiators []string
	var from secretFrom
	c := &cobra.Command{
		Use: "add TARGET|discovery USER", Short: "Add a CHAP user, or give one a new secret", Args: cobra.ExactArgs(2), ValidArgsFunction: a.completeTargets,
		Example: "  esos auth add mail host1\n  esos auth add mail host1 --secret-file /root/host1.secret --initiator iqn.2026-11.com.example:mail1\n  pass chap/host1 | esos auth add discovery host1 --secret-file -",
	}
	c.Flags().StringSliceVar(&initiators, "initiator", nil, "only for this initiator (more than once, or with commas)")
	from.add(c)
	var secret config.Secret // asked for once, however often the edit is made
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		auth, err := findAuth(doc, args[0])
		if err != nil {
			return err
		}
		if secret == "" {
			if secret, err = a.secret("CHAP secret of "+args[1], from); err != nil {
				return err
			}
		}
		i := slices.IndexFunc(auth.Users, func(u config.CHAPUser) bool { return u.Name == args[1] })
		if i < 0 {
			auth.Users = append(auth.Users, config.CHAPUser{Name: args[1]})
			i = len(auth.Users) - 1
		}
		auth.Users[i].Secret = secret
		if c.Flags().Changed("initiator") {
			auth.Users[i].Initiators = initiators
		}
		return nil
	})
}

func (a *app) authRemove() *cobra.Command {
	c := &cobra.Command{Use: "remove TARGET|discovery USER...", Short: "Remove CHAP users", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeTargets,
		Long: "Remove CHAP users. When the last one is removed, initiators need no proof any more."}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		auth, err := findAuth(doc, args[0])
		if err != nil {
			return err
		}
		for _, name := range args[1:] {
			i := slices.IndexFunc(auth.Users, func(u config.CHAPUser) bool { return u.Name == name })
			if i < 0 {
				return notFound(fmt.Errorf("%s has no CHAP user %s; 'esos auth list' shows all", args[0], name))
			}
			auth.Users = slices.Delete(auth.Users, i, i+1)
		}
		return nil
	})
}

func (a *app) authMutual() *cobra.Command {
	var off bool
	var from secretFrom
	c := &cobra.Command{
		Use: "mutual TARGET|discovery [USER]", Short: "Set what the target proves to initiators that ask (mutual CHAP)", Args: cobra.RangeArgs(1, 2), ValidArgsFunction: a.completeTargets,
		Example: "  esos auth mutual mail array1\n  esos auth mutual mail --off",
	}
	c.Flags().BoolVar(&off, "off", false, "prove nothing any more")
	from.add(c)
	var secret config.Secret
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		if off == (len(args) == 2) {
			return usageError{errors.New("give either a USER or --off")}
		}
		auth, err := findAuth(doc, args[0])
		if err != nil {
			return err
		}
		if off {
			auth.Mutual = nil
			return nil
		}
		if secret == "" {
			if secret, err = a.secret("CHAP secret of "+args[1], from); err != nil {
				return err
			}
		}
		auth.Mutual = &config.CHAPUser{Name: args[1], Secret: secret}
		return nil
	})
}

func (a *app) authAlgorithms() *cobra.Command {
	c := &cobra.Command{
		Use: "algorithms TARGET|discovery [ALGORITHM...]", Short: "Choose the CHAP algorithms, best first; none given: all", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeTargets,
		Example: "  esos auth algorithms mail SHA3-256 SHA256",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		auth, err := findAuth(doc, args[0])
		if err != nil {
			return err
		}
		auth.Algorithms = args[1:]
		return nil
	})
}

func findAuth(doc *config.Document, of string) (*config.Auth, error) {
	if of == discovery {
		return &doc.ISCSI.Discovery, nil
	}
	t, err := findTarget(doc, of)
	if err != nil {
		return nil, err
	}
	return &t.Auth, nil
}

// secretFrom says where a secret comes from.
type secretFrom struct{ file string }

func (s *secretFrom) add(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "secret-file", "", "`file` with the secret, - is standard input (default: ask on the terminal)")
}

// maxSecret bounds what is read as a secret.
const maxSecret = 4096

// secret reads a secret: from a file, from standard input, or typed twice.
func (a *app) secret(what string, from secretFrom) (config.Secret, error) {
	var r io.Reader
	switch {
	case from.file == "-":
		r = a.in
	case from.file != "":
		f, err := os.Open(from.file)
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", what, err)
		}
		defer f.Close()
		r = f
	case !a.terminal():
		return "", usageError{fmt.Errorf("there is no terminal to ask for the %s; give it in a file (- is standard input; see --help)", what)}
	default:
		return a.typed(what)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxSecret))
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	b = bytes.TrimRight(b, "\r\n")
	if len(b) == 0 {
		return "", usageError{fmt.Errorf("the %s is empty", what)}
	}
	return config.Secret(b), nil
}

func (a *app) typed(what string) (config.Secret, error) {
	fd := int(a.in.(*os.File).Fd())
	var entered [2][]byte
	for i, again := range []string{"", " again"} {
		fmt.Fprintf(a.err, "%s%s: ", what, again)
		b, err := term.ReadPassword(fd)
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read the %s: %w", what, err)
		}
		entered[i] = b
	}
	if !bytes.Equal(entered[0], entered[1]) {
		return "", usageError{fmt.Errorf("the two entries differ")}
	}
	if len(entered[0]) == 0 {
		return "", usageError{fmt.Errorf("the %s is empty", what)}
	}
	return config.Secret(entered[0]), nil
}
