package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
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

const (
	minPassword = 10
	maxPassword = 1024
)

// HashPassword makes the argon2id hash of a password in PHC form, as documents
// keep it.
func HashPassword(password string) (string, error) {
	if len(password) < minPassword || len(password) > maxPassword {
		return "", fmt.Errorf("the password has %d bytes; choose one of %d to %d", len(password), minPassword, maxPassword)
	}
	salt := make([]byte, argonSalt)
	rand.Read(salt) // never fails (crypto/rand)
	return phc{time: argonTime, memory: argonMemory, threads: argonThreads, salt: salt,
		key: argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)}.String(), nil
}

// verifyPassword tells whether password has this hash.
func verifyPassword(hash, password string) (bool, error) {
	p, err := parsePHC(hash)
	if err != nil {
		return false, err
	}
	if len(password) > maxPassword {
		return false, nil
	}
	key := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1, nil
}

// decoy is a hash that no password has, but that takes as long to tell.
func decoy() string {
	return phc{time: argonTime, memory: argonMemory, threads: argonThreads, salt: make([]byte, argonSalt), key: make([]byte, argonKey)}.String()
}

// phc is an argon2id hash: $argon2id$v=19$m=65536,t=3,p=4$salt$key.
type phc struct {
	time, memory uint32
	threads      uint8
	salt, key    []byte
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

var errPHC = errors.New("not an argon2id hash in PHC form ($argon2id$v=19$m=...,t=...,p=...$salt$key); set the password again with `esos user set`")

func parsePHC(s string) (phc, error) {
	var p phc
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, errPHC
	}
	if p.time < 1 || p.time > maxArgonTime || p.memory < 8 || p.memory > maxArgonMemory || p.threads < 1 {
		return p, fmt.Errorf("argon2id hash asks for t=%d, m=%d KiB, p=%d: at most t=%d, m=%d are accepted", p.time, p.memory, p.threads, maxArgonTime, maxArgonMemory)
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return p, errPHC
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return p, errPHC
	}
	return p, nil
}

// Prefixes tell a leaked token from other text, and the two kinds from each
// other.
const (
	tokenPrefix   = "esos_"
	sessionPrefix = "esos-session_"
)

// newToken makes a token of 256 random bits.
func newToken(prefix string) string {
	b := make([]byte, 32)
	rand.Read(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// hashToken is how a token is kept. It needs no salt and no slowness: a token
// is no word that somebody could guess.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// sameHash compares two hashes in constant time.
func sameHash(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
