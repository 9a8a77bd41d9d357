package luks

import (
	"crypto/rand"
	"strings"
)

// modhex are digits that are in the same place on all keyboards, as systemd's
// recovery keys have them (systemd-cryptenroll(1), --recovery-key).
const modhex = "cbdefghijklnrtuv"

// RecoveryKey makes a key of 256 random bits that people can write down: eight
// groups of eight letters.
func RecoveryKey() Secret {
	var random [32]byte
	rand.Read(random[:])
	var b strings.Builder
	for i, v := range random {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(modhex[v>>4])
		b.WriteByte(modhex[v&15])
	}
	return Secret{Bytes: []byte(b.String()), Random: true}
}

// FileKey makes a key for a file: 512 random bits.
func FileKey() Secret {
	key := make([]byte, 64)
	rand.Read(key)
	return Secret{Bytes: key, Random: true}
}

// Forget overwrites a key.
func (s Secret) Forget() { clear(s.Bytes) }
