package login

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/subtle"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/iscsi/wire"
)

// Algorithm is a CHAP algorithm by its number in the IANA's registry of PPP
// authentication algorithms.
type Algorithm byte

// CHAP algorithms. RFC 7143 12.1.3 wants MD5; the others are registered for
// iSCSI.
const (
	MD5     Algorithm = 5
	SHA1    Algorithm = 6
	SHA256  Algorithm = 7
	SHA3256 Algorithm = 8
)

// Algorithms returns all algorithms, strongest first.
func Algorithms() []Algorithm { return []Algorithm{SHA3256, SHA256, SHA1, MD5} }

// ParseAlgorithm reads the name of an algorithm as the configuration has it.
func ParseAlgorithm(name string) (Algorithm, error) {
	for _, a := range Algorithms() {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("CHAP algorithm %q: MD5, SHA1, SHA256 or SHA3-256 are known", name)
}

// String returns the algorithm's name: MD5, SHA1, SHA256, SHA3-256.
func (a Algorithm) String() string {
	switch a {
	case MD5:
		return "MD5"
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	case SHA3256:
		return "SHA3-256"
	}
	return "CHAP algorithm " + strconv.Itoa(int(a))
}

func (a Algorithm) hash() hash.Hash {
	switch a {
	case MD5:
		return md5.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	return sha3.New256()
}

// Response computes a CHAP response (RFC 1994 4.1): the hash of identifier,
// secret and challenge.
func (a Algorithm) Response(id byte, secret Secret, challenge []byte) []byte {
	h := a.hash()
	h.Write([]byte{id})
	_, _ = io.WriteString(h, string(secret)) // a hash takes everything
	h.Write(challenge)
	return h.Sum(nil)
}

// challenge is the target's part of CHAP's second step: it chooses an algorithm
// and challenges the initiator.
func (n *Negotiation) challenge(text wire.Text, answer *wire.Text) *Refusal {
	if err := onlyKeys(text, keyAlgorithm); err != nil {
		return err
	}
	list, _ := text.Get(keyAlgorithm)
	allowed := n.access.Auth.Algorithms
	if len(allowed) == 0 {
		allowed = Algorithms()
	}
	s := &n.security
	for item := range strings.SplitSeq(list, ",") {
		v, ok := wire.ParseNumber(item, 0, 255)
		// Of those allowed, only the known: others have no hash.
		if ok && slices.Contains(allowed, Algorithm(v)) && slices.Contains(Algorithms(), Algorithm(v)) {
			s.algorithm = Algorithm(v)
			break
		}
	}
	if s.algorithm == 0 {
		return refuse(wire.LoginAuthFailed, "the initiator offers CHAP algorithms %.80q, the target wants one of %v", list, allowed)
	}
	var id [1]byte
	s.challenge = make([]byte, s.algorithm.hash().Size())
	if _, err := io.ReadFull(n.rand, id[:]); err != nil {
		return refuse(wire.LoginTargetError, "read random bytes for a challenge: %v", err)
	}
	if _, err := io.ReadFull(n.rand, s.challenge); err != nil {
		return refuse(wire.LoginTargetError, "read random bytes for a challenge: %v", err)
	}
	s.id = id[0]
	s.step = stepResponse
	answer.Add(keyAlgorithm, strconv.Itoa(int(s.algorithm)))
	answer.Add(keyIdentifier, strconv.Itoa(int(s.id)))
	answer.Add(keyChallenge, wire.FormatBinary(s.challenge))
	return nil
}

// verify is the target's part of CHAP's third step: it looks at the
// initiator's response, and gives its own when it is challenged in turn.
func (n *Negotiation) verify(text wire.Text, answer *wire.Text) *Refusal {
	if err := onlyKeys(text, keyName, keyResponse, keyIdentifier, keyChallenge); err != nil {
		return err
	}
	s := &n.security
	name, there := text.Get(keyName)
	if !there {
		return refuse(wire.LoginMissingParameter, "CHAP_N is missing")
	}
	value, there := text.Get(keyResponse)
	if !there {
		return refuse(wire.LoginMissingParameter, "CHAP_R is missing")
	}
	response, err := wire.ParseBinary(value, wire.MaxBinaryLength)
	if err != nil {
		return refuse(wire.LoginAuthFailed, "CHAP_R: %v", err)
	}
	user, ok := n.access.Auth.proves(name, func(secret Secret) bool {
		return hmac.Equal(response, s.algorithm.Response(s.id, secret, s.challenge))
	})
	if !ok {
		return refuse(wire.LoginAuthFailed, "CHAP user %.80q is unknown to the target for this initiator, or its secret is wrong", name)
	}
	s.proved, s.step = true, stepOver
	n.result.User = user.Name

	_, asksID := text.Get(keyIdentifier)
	_, asksChallenge := text.Get(keyChallenge)
	if !asksID && !asksChallenge {
		return nil
	}
	return n.prove(text, answer)
}

// prove answers the initiator's challenge (mutual CHAP).
func (n *Negotiation) prove(text wire.Text, answer *wire.Text) *Refusal {
	s := &n.security
	mutual := n.access.Auth.Mutual
	if mutual == nil {
		return refuse(wire.LoginAuthFailed, "the initiator wants the target to prove itself, and the target has no mutual CHAP user")
	}
	value, _ := text.Get(keyIdentifier)
	id, ok := wire.ParseNumber(value, 0, 255)
	if !ok {
		return refuse(wire.LoginAuthFailed, "CHAP_I of the initiator is missing or no number from 0 to 255")
	}
	value, _ = text.Get(keyChallenge)
	challenge, err := wire.ParseBinary(value, wire.MaxBinaryLength)
	if err != nil {
		return refuse(wire.LoginAuthFailed, "CHAP_C of the initiator: %v", err)
	}
	// Reflection (RFC 7143 9.2.1 and 12.1.3): somebody without a secret could have
	// us answer our own challenge on another connection. The challenge must
	// not be ours, nor the secrets be the same.
	if subtle.ConstantTimeCompare(challenge, s.challenge) == 1 {
		return refuse(wire.LoginAuthFailed, "the initiator sent the target's own challenge back (reflection attack)")
	}
	for _, u := range n.access.Auth.Users {
		if subtle.ConstantTimeCompare([]byte(mutual.Secret), []byte(u.Secret)) == 1 {
			return refuse(wire.LoginAuthFailed, "CHAP user %q and the target's mutual user have the same secret; set another one", u.Name)
		}
	}
	if !mutual.usable() {
		return refuse(wire.LoginAuthFailed, "the secret of the target's mutual user %q has not %d to %d bytes", mutual.Name, MinSecretLength, MaxSecretLength)
	}
	answer.Add(keyName, mutual.Name)
	answer.Add(keyResponse, wire.FormatBinary(s.algorithm.Response(byte(id), mutual.Secret, challenge)))
	n.result.Mutual = true
	return nil
}

// proves returns the user of that name for whose secret match is true. It
// calls match as often for unknown names, so that the time it takes does not
// tell which names there are.
func (a *Auth) proves(name string, match func(Secret) bool) (User, bool) {
	var found User
	ok := false
	for _, u := range a.Users {
		right := match(u.Secret)
		if right && u.usable() && subtle.ConstantTimeCompare([]byte(u.Name), []byte(name)) == 1 {
			found, ok = u, true
		}
	}
	return found, ok
}

func (u *User) usable() bool {
	return len(u.Secret) >= MinSecretLength && len(u.Secret) <= MaxSecretLength
}

// onlyKeys refuses a CHAP step with keys of another one.
func onlyKeys(text wire.Text, keys ...string) *Refusal {
	for _, p := range text {
		if !slices.Contains(keys, p.Key) {
			return refuse(wire.LoginAuthFailed, "%s came where %s was due", p.Key, strings.Join(keys, ", "))
		}
	}
	return nil
}
