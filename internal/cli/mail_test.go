package cli_test

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

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
