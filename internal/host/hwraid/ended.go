package hwraid

import (
	"errors"

	"github.com/esos-project/esos/internal/host"
)

// ended tells a program that ran and did not like something from one that could
// not be run.
func ended(err error) (code int, said string, _ error) {
	var exit *host.ExitError
	if errors.As(err, &exit) {
		return exit.Code, clean(exit.Said), nil
	}
	return 0, "", err
}
