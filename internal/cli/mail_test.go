package cli_test

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/test/mail"
)

// serveMail runs a mail server until a script ends, and sets $MAILPORT.
func serveMail(env *testscript.Env) error {
	c, err := mail.Start()
	if err != nil {
		return err
	}
	env.Defer(func() { _ = c.Close() })
	env.Setenv("MAILPORT", strconv.Itoa(c.Port()))
	return nil
}

// machineMail is how programs of a machine send mail.
type machineMail struct{ files msmtp.Files }

func (m *machineMail) Read() (msmtp.Files, error) { return m.files, nil }

func (m *machineMail) Write(f msmtp.Files) error {
	m.files = f
	return nil
}
