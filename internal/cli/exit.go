package cli

import (
	"context"
	"errors"
	"net/http"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/persist/machine"
)

// Exit codes of every command.
const (
	exitOK          = 0 // done, or nothing to do
	exitFailed      = 1
	exitUsage       = 2
	exitDestroys    = 3
	exitConflict    = 4
	exitUnreachable = 5
	exitDenied      = 6
	exitInvalid     = 7
	exitNotFound    = 8
	exitMedium      = 9
	exitDiffers     = 10
	exitInterrupted = 130
)

// exitCodes says what each code means, for docs/cli.md.
func exitCodes() []struct {
	Code    int
	Meaning string
} {
	return []struct {
		Code    int
		Meaning string
	}{
		{exitOK, "done; or nothing had to be done (\"no changes\")"},
		{exitFailed, "failed; the message says what, on which object, and why"},
		{exitUsage, "the command was not understood: a flag or an argument is wrong"},
		{exitDestroys, "refused, since it would destroy something that no --destroy names"},
		{exitConflict, "conflict: somebody changed it meanwhile, it exists already, or it is in use"},
		{exitUnreachable, "the daemon (or the array elsewhere) does not answer"},
		{exitDenied, "not logged in, or the role does not allow it"},
		{exitInvalid, "the document, or what was to become of it, is not valid"},
		{exitNotFound, "there is no such object"},
		{exitMedium, "the appliance's medium (its USB stick) is not there, or cannot be written"},
		{exitDiffers, "only with --exit-code: there are changes"},
		{exitInterrupted, "interrupted, or not confirmed"},
	}
}

// usageError is a command that was not understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// codeError is an error with an exit code of its own.
type codeError struct {
	error
	code int
}

func (e codeError) Unwrap() error { return e.error }

// errSilent fails without a message: all was said. exitCode makes it 1, a
// codeError around it what that says.
var errSilent = errors.New("")

func notFound(err error) error { return codeError{err, exitNotFound} }

func exitCode(err error) int {
	var coded codeError
	var usage usageError
	var unreachable *client.UnreachableError
	var answer *client.Error
	var problems config.Problems
	var medium *machine.MediumError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &unreachable):
		return exitUnreachable
	case errors.As(err, &problems):
		return exitInvalid
	case errors.As(err, &medium):
		return exitMedium
	case errors.Is(err, config.ErrNotFound):
		return exitNotFound
	case errors.Is(err, config.ErrExists):
		return exitConflict
	case errors.As(err, &answer):
		return answerCode(answer)
	}
	return exitFailed
}

func answerCode(e *client.Error) int {
	if e.Type == v1.ProblemDestroys {
		return exitDestroys
	}
	switch e.Status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitConflict
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return exitDenied
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return exitInvalid
	case http.StatusNotFound:
		return exitNotFound
	}
	return exitFailed
}

// hintFor says what to do next where the error itself does not.
func hintFor(err error) string {
	var unreachable *client.UnreachableError
	if errors.As(err, &unreachable) {
		return "Is the daemon running? Start it with 'esos serve', or say where it is with --socket or --api."
	}
	return ""
}
