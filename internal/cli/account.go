package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
)

func (a *app) account() *cobra.Command {
	c := &cobra.Command{
		Use: "account", Aliases: []string{"accounts"}, Short: "People who log in to the appliance, at its console and over SSH",
		Long: `People who log in to the appliance itself, at its console and over SSH, and what they
may do with esos there: a viewer sees all but secrets; an operator also changes what is
served, but destroys nothing; an admin does everything, and may sudo (with a password).

Users of the API over the network are others: 'esos user'.`,
	}
	c.AddCommand(a.accountList(), a.accountCreate(), a.accountSet(), a.accountPassword(), a.accountKey(), a.accountDelete())
	return c
}

func (a *app) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the users of the appliance that the document has", Args: cobra.NoArgs,
		RunE: a.reading(func(_ []string, doc *config.Document) error {
			return a.print(doc.Users, func(t *table) {
				t.head("name", "role", "number", "full name", "password", "keys", "locked")
				for _, u := range doc.Users {
					password := yesNo(u.Password != "" && u.Password != config.NoPassword)
					if u.Password == "" {
						password = "left to passwd"
					}
					t.row(u.Name, u.Role, u.UID, u.FullName, password, len(u.SSHKeys), yesNo(u.Locked))
				}
			})
		}),
	}
}

// accountSettings are flags of a user.
type accountSettings struct {
	role, fullName string
	keyFiles       []string
	password       bool
	from           secretFrom
	secret         config.Secret // asked for once, however often the edit is made
	read           []string      // of keyFiles, likewise
}

// keys are what is in files of public keys.
func (s *accountSettings) keys(a *app, files []string) (_ []string, err error) {
	if s.read == nil {
		s.read, err = a.publicKeys(files)
	}
	return slices.Clone(s.read), err
}

func (s *accountSettings) passwordFlags(c *cobra.Command) {
	c.Flags().BoolVar(&s.password, "password", false, "ask for a password")
	c.Flags().StringVar(&s.from.file, "password-file", "", "`file` with the password, - is standard input")
}

// hash is the hash of the password that is asked for, "" if none is wanted.
func (s *accountSettings) hash(a *app, name string) (config.Secret, error) {
	if !s.password && s.from.file == "" {
		return "", nil
	}
	if s.secret != "" {
		return s.secret, nil
	}
	p, err := a.secret("password of "+name, s.from)
	if err != nil {
		return "", err
	}
	s.secret, err = cryptPassword(p)
	return s.secret, err
}

func (a *app) accountCreate() *cobra.Command {
	s := &accountSettings{}
	c := &cobra.Command{
		Use: "create USER", Short: "Make a user of the appliance", Args: cobra.ExactArgs(1),
		Long: `Make a user of the appliance, who logs in with a key, a password, or either. A user
who exists already and was not made by esos, such as admin, is taken over.`,
		Example: "  esos account create ann --role admin --ssh-key ann.pub --password\n  esos account create watch --role viewer --ssh-key watch.pub",
	}
	c.Flags().StringVar(&s.role, "role", "viewer", "admin, operator or viewer")
	c.Flags().StringVar(&s.fullName, "full-name", "", "the person's name")
	c.Flags().StringSliceVar(&s.keyFiles, "ssh-key", nil, "`file` with public keys, - is standard input (more than once, or with commas)")
	s.passwordFlags(c)
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		if _, err := doc.FindUser(args[0]); err == nil {
			return fmt.Errorf("user %q %w", args[0], config.ErrExists)
		}
		keys, err := s.keys(a, s.keyFiles)
		if err != nil {
			return err
		}
		hash, err := s.hash(a, args[0])
		if err != nil {
			return err
		}
		doc.Users = append(doc.Users, config.Account{Name: args[0], Role: s.role, FullName: s.fullName, SSHKeys: keys, Password: hash})
		return nil
	})
}

func (a *app) accountSet() *cobra.Command {
	s := &accountSettings{}
	var lock, unlock bool
	c := &cobra.Command{
		Use: "set USER", Short: "Change a user's role or name, or lock one out", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeAccounts,
		Long: "Change a user's role or name, or lock one out. Who loses the role admin, or is locked,\nis logged out.",
	}
	c.Flags().StringVar(&s.role, "role", "", "admin, operator or viewer")
	c.Flags().StringVar(&s.fullName, "full-name", "", "the person's name")
	c.Flags().BoolVar(&lock, "lock", false, "refuse all logins")
	c.Flags().BoolVar(&unlock, "unlock", false, "allow logins again")
	return a.edited(c, func(c *cobra.Command, args []string, doc *config.Document) error {
		u, err := findAccount(doc, args[0])
		if err != nil {
			return err
		}
		switch {
		case lock && unlock:
			return usageError{errors.New("give either --lock or --unlock")}
		case s.role == "" && !c.Flags().Changed("full-name") && !lock && !unlock:
			return usageError{errNothing}
		}
		if s.role != "" {
			u.Role = s.role
		}
		if c.Flags().Changed("full-name") {
			u.FullName = s.fullName
		}
		u.Locked = u.Locked && !unlock || lock
		return nil
	})
}

func (a *app) accountPassword() *cobra.Command {
	s := &accountSettings{password: true}
	var none bool
	c := &cobra.Command{
		Use: "password USER", Short: "Give a user a password", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeAccounts,
		Long: `Give a user a password. The document has its hash from then on, and every apply sets
it: what passwd on the appliance changes does not last.`,
	}
	c.Flags().StringVar(&s.from.file, "password-file", "", "`file` with the password, - is standard input (default: ask on the terminal)")
	c.Flags().BoolVar(&none, "none", false, "have none; only keys open a login")
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		u, err := findAccount(doc, args[0])
		if err != nil {
			return err
		}
		if none {
			u.Password = config.NoPassword
			return nil
		}
		hash, err := s.hash(a, args[0])
		if err != nil {
			return err
		}
		u.Password = hash
		return nil
	})
}

func (a *app) accountKey() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "SSH keys of the appliance's users"}
	list := &cobra.Command{
		Use: "list USER", Short: "List a user's keys", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeAccounts,
		RunE: a.reading(func(args []string, doc *config.Document) error {
			u, err := findAccount(doc, args[0])
			if err != nil {
				return err
			}
			return a.print(u.SSHKeys, func(t *table) {
				t.head("fingerprint", "type", "comment")
				for _, line := range u.SSHKeys {
					if key, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
						t.row(ssh.FingerprintSHA256(key), key.Type(), comment)
					}
				}
			})
		}),
	}
	s := &accountSettings{}
	add := &cobra.Command{
		Use: "add USER FILE...", Short: "Let public keys open a user's logins", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeAccountThenFile,
		Long: "Let public keys open a user's logins. FILE is a .pub file, or authorized_keys; - is\nstandard input.",
	}
	a.edited(add, func(_ *cobra.Command, args []string, doc *config.Document) error {
		u, err := findAccount(doc, args[0])
		if err != nil {
			return err
		}
		keys, err := s.keys(a, args[1:])
		for _, k := range keys {
			if !slices.Contains(u.SSHKeys, k) {
				u.SSHKeys = append(u.SSHKeys, k)
			}
		}
		return err
	})
	remove := &cobra.Command{
		Use: "remove USER KEY...", Short: "Let keys open a user's logins no more", Args: cobra.MinimumNArgs(2), ValidArgsFunction: a.completeAccounts,
		Long: "Let keys open a user's logins no more. KEY is the key's fingerprint or comment, as\n'esos account key list' shows them.",
	}
	a.edited(remove, func(_ *cobra.Command, args []string, doc *config.Document) error {
		u, err := findAccount(doc, args[0])
		if err != nil {
			return err
		}
		for _, which := range args[1:] {
			before := len(u.SSHKeys)
			u.SSHKeys = slices.DeleteFunc(u.SSHKeys, func(line string) bool {
				key, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
				return err == nil && (comment == which || ssh.FingerprintSHA256(key) == which)
			})
			if len(u.SSHKeys) == before {
				return notFound(fmt.Errorf("user %s has no key %s; 'esos account key list %s' shows all", u.Name, which, u.Name))
			}
		}
		return nil
	})
	c.AddCommand(list, add, remove)
	return c
}

func (a *app) accountDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete USER...", Short: "Remove users and log them out", Args: cobra.MinimumNArgs(1), ValidArgsFunction: a.completeAccounts,
		Long: "Remove users and log them out. What they have in /home stays until the next reboot;\n--destroy user/USER deletes it at once.",
	}
	return a.edited(c, func(_ *cobra.Command, args []string, doc *config.Document) error {
		for _, name := range args {
			if _, err := findAccount(doc, name); err != nil {
				return err
			}
			doc.Users = slices.DeleteFunc(doc.Users, func(u config.Account) bool { return u.Name == name })
		}
		return nil
	})
}

func findAccount(doc *config.Document, name string) (*config.Account, error) {
	u, err := doc.FindUser(name)
	if err != nil {
		return nil, notFound(fmt.Errorf("%w; 'esos account list' shows all", err))
	}
	return u, nil
}

func (a *app) completeAccounts(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return a.completeNames(func(doc *config.Document, args []string) []string {
		var names []string
		for _, u := range doc.Users {
			if len(args) == 0 {
				names = append(names, u.Name)
			}
		}
		return names
	})(c, args, typed)
}

func (a *app) completeAccountThenFile(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.completeAccounts(c, args, typed)
}

// publicKeys reads files as sshd reads authorized_keys (sshd(8)): one key a
// line.
func (a *app) publicKeys(files []string) ([]string, error) {
	var keys []string
	for _, file := range files {
		text, err := a.readSmall(file)
		if err != nil {
			return nil, fmt.Errorf("read public keys: %w", err)
		}
		found, err := config.PublicKeys(string(text))
		switch {
		case err != nil:
			return nil, usageError{fmt.Errorf("%s has no public key; take the file that ends in .pub", file)}
		case len(found) == 0:
			return nil, usageError{fmt.Errorf("%s has no public key", file)}
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// readSmall reads a file, or standard input for "-".
func (a *app) readSmall(file string) ([]byte, error) {
	if file == "-" {
		return readLimited(a.in)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f)
}

// cryptPassword makes a hash as crypt(5) has it.
func cryptPassword(typed config.Secret) (config.Secret, error) {
	if len(typed) < password.LeastCrypt {
		return "", usageError{fmt.Errorf("the password is shorter than %d characters", password.LeastCrypt)}
	}
	hash, err := password.Crypt(string(typed))
	return config.Secret(hash), err
}

func readLimited(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, maxKeys)) }

// maxKeys bounds what is read as public keys.
const maxKeys = 1 << 20
