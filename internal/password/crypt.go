package password

import (
	"fmt"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// LeastCrypt is the least length of a password of the machine, in bytes.
const LeastCrypt = 8

// rounds is what takes a guess time; these keep a core busy for a tenth of a
// second.
const rounds = 100_000

// Crypt makes a hash as crypt(5) has it ($6$), for a user of the machine.
func Crypt(password string) (string, error) {
	if len(password) < LeastCrypt {
		return "", fmt.Errorf("the password is shorter than %d characters", LeastCrypt)
	}
	h, err := shacrypt.New(shacrypt.WithSHA512(), shacrypt.WithRounds(rounds))
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	d, err := h.Hash(password)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return d.Encode(), nil
}
