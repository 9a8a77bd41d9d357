package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

func (a *app) mail() *cobra.Command {
	c := &cobra.Command{
		Use: "mail", Short: "Where the appliance sends its alerts",
		Long: "Where the appliance sends its alerts, and a mail at each start. Programs of the\nappliance that send mail to root use the same server.",
	}
	c.AddCommand(a.mailShow(), a.mailSet(), a.mailDelete(), a.mailTest())
	return c
}

func (a *app) mailShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the mail settings", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			doc, err := a.fetch(c)
			if err != nil {
				return err
			}
			m := doc.Mail
			if m.Declared() {
				m = m.WithDefaults()
			}
			return a.print(m, func(t *table) {
				t.pair("to", strings.Join(m.To, " "))
				t.pair("from", m.From)
				t.pair("server", m.Server)
				t.pair("port", m.Port)
				t.pair("security", m.Security)
				t.pair("ca", m.CA)
				t.pair("auth", m.Auth)
				t.pair("user", m.User)
				t.pair("password", m.Password)
				t.pair("severity", m.Severity)
				t.pair("mail at each start", yesNo(m.Declared() && !m.Quiet))
			})
		},
	}
}

func (a *app) mailSet() *cobra.Command {
	var m config.Mail
	var passwordFile string
	c := &cobra.Command{
		Use: "set", Short: "Name the mail server, and who gets mail", Args: cobra.NoArgs,
		Long: `Name the mail server, and who gets mail. What is not given stays as it is. The
password comes from a file (- is standard input), never from the command line,
which every user of the machine can read.`,
		Example: "  esos mail set --server mail.example.com --to storage@example.com\n  esos mail set --auth plain --user esos --password-file - <secret",
	}
	f := c.Flags()
	f.StringSliceVar(&m.To, "to", nil, "who gets mail")
	f.StringVar(&m.From, "from", "", "sender")
	f.StringVar(&m.Server, "server", "", "name or address of the mail server")
	f.IntVar(&m.Port, "port", 0, "its port; 0 for the usual one")
	f.StringVar(&m.Security, "security", "", "none, starttls or tls")
	f.StringVar(&m.CA, "ca", "", "PEM file with the authority of its certificate")
	f.StringVar(&m.Auth, "auth", "", "none, plain, login or cram-md5")
	f.StringVar(&m.User, "user", "", "name to log in with")
	f.StringVar(&passwordFile, "password-file", "", "`file` with the password, - is standard input")
	f.StringVar(&m.Severity, "severity", "", "the least alert that is mailed: warning or critical")
	f.BoolVar(&m.Quiet, "quiet", false, "send no mail at each start")
	return a.edited(c, func(c *cobra.Command, _ []string, doc *config.Document) error {
		if passwordFile != "" {
			password, err := a.readSecret(passwordFile)
			if err != nil {
				return err
			}
			doc.Mail.Password = config.Secret(password)
		}
		for name, set := range map[string]func(){
			"to": func() { doc.Mail.To = m.To }, "from": func() { doc.Mail.From = m.From }, "server": func() { doc.Mail.Server = m.Server },
			"port": func() { doc.Mail.Port = m.Port }, "security": func() { doc.Mail.Security = m.Security }, "ca": func() { doc.Mail.CA = m.CA },
			"auth": func() { doc.Mail.Auth = m.Auth }, "user": func() { doc.Mail.User = m.User },
			"severity": func() { doc.Mail.Severity = m.Severity }, "quiet": func() { doc.Mail.Quiet = m.Quiet },
		} {
			if c.Flags().Changed(name) {
				set()
			}
		}
		return nil
	})
}

func (a *app) mailDelete() *cobra.Command {
	c := &cobra.Command{Use: "delete", Short: "Send no mail any more", Args: cobra.NoArgs}
	return a.edited(c, func(_ *cobra.Command, _ []string, doc *config.Document) error {
		doc.Mail = config.Mail{}
		return nil
	})
}

func (a *app) mailTest() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use: "test", Short: "Send a test mail, and show what the server says", Args: cobra.NoArgs,
		Example: "  esos mail test\n  esos mail test --to me@example.com",
	}
	c.Flags().StringVar(&to, "to", "", "who gets it (default all whom the document names)")
	c.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		done, err := c.TestMail(ctx, to)
		if err != nil {
			return err
		}
		return a.print(done, func(*table) {
			fmt.Fprintf(a.out, "%s has taken a test mail for %s: %s\n", done.Server, strings.Join(done.To, ", "), done.Answer)
		})
	})
	return c
}

// readSecret reads a secret of one line from a file.
func (a *app) readSecret(file string) (string, error) {
	if file == "-" {
		line, err := a.ask("")
		if err != nil {
			return "", err
		}
		return line, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}
