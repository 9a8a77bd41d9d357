// Package password hashes passwords: as documents keep those of the API's users
// (Hash, Verify), and as the machine keeps those of its own (Crypt).
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a password check: the second recommendation of RFC 9106 section
// 4, which fits small machines too.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonSalt    = 16
	argonKey     = 32
)

// What a hash in a document may ask for, so that nobody who may write one can
// make each login take all memory.
const (
	maxArgonTime   = 16
	maxArgonMemory = 256 << 10 // KiB
)

// Length of a password of the API, in bytes.
const (
	Least = 10
	Most  = 1024
)

// Check refuses a password that is too short or too long for the API.
func Check(password string) error {
	if len(password) < Least || len(password) > Most {
		return fmt.Errorf("the password has %d bytes; choose one of %d to %d", len(password), Least, Most)
	}
	return nil
}

// Hash makes the argon2id hash of a password in PHC form, as documents keep
// it.
func Hash(password string) (string, error) {
	if err := Check(password); err != nil {
		return "", err
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails (crypto/rand)
	return PHC{Time: argonTime, Memory: argonMemory, Threads: argonThreads, Salt: salt,
		Key: argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)}.String(), nil
}

// Verify tells whether password has this hash.
func Verify(hash, password string) (bool, error) {
	p, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	if len(password) > Most {
		return false, nil
	}
	key := argon2.IDKey([]byte(password), p.Salt, p.Time, p.Memory, p.Threads, uint32(len(p.Key)))
	return subtle.ConstantTimeCompare(key, p.Key) == 1, nil
}

// Decoy is a hash that no password has, but that takes as long to tell.
func Decoy() string {
	return PHC{Time: argonTime, Memory: argonMemory, Threads: argonThreads, Salt: make([]byte, argonSalt), Key: make([]byte, argonKey)}.String()
}

// PHC is an argon2id hash: $argon2id$v=19$m=65536,t=3,p=4$salt$key.
type PHC struct {
	Time, Memory uint32 // rounds, and KiB
	Threads      uint8
	Salt, Key    []byte
}

// String is its text.
func (p PHC) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.Memory, p.Time, p.Threads,
		b64.EncodeToString(p.Salt), b64.EncodeToString(p.Key))
}

var errPHC = errors.New("not an argon2id hash in PHC form ($argon2id$v=19$m=...,t=...,p=...$salt$key); set the password again with `esos user set`")

func parsePHC(s string) (PHC, error) {
	var p PHC
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil {
		return p, errPHC
	}
	if p.Time < 1 || p.Time > maxArgonTime || p.Memory < 8 || p.Memory > maxArgonMemory || p.Threads < 1 {
		return p, fmt.Errorf("argon2id hash asks for t=%d, m=%d KiB, p=%d: at most t=%d, m=%d are accepted", p.Time, p.Memory, p.Threads, maxArgonTime, maxArgonMemory)
	}
	var err error
	if p.Salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.Salt) < 8 || len(p.Salt) > 64 {
		return p, errPHC
	}
	if p.Key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.Key) < 16 || len(p.Key) > 64 {
		return p, errPHC
	}
	return p, nil
}
