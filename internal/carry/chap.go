package carry

import (
	"fmt"
	"slices"

	"github.com/esos-project/esos/internal/config"
)

// Unusable says why a document cannot have a CHAP user beside those it has, ""
// if it can.
func Unusable(u config.CHAPUser, beside []config.CHAPUser) string {
	switch {
	case u.Name == "" || len(u.Name) > 255:
		return "a CHAP name has 1 to 255 bytes"
	case len(u.Secret) < 12 || len(u.Secret) > 255:
		return fmt.Sprintf("its secret has %d bytes, and 12 to 255 are needed (RFC 7143 9.2.1); give it a new one on both sides", len(u.Secret))
	case slices.ContainsFunc(beside, func(o config.CHAPUser) bool { return o.Name == u.Name && len(u.Initiators) == 0 }):
		return "there is one of that name already"
	}
	return ""
}

// UnusableMutual says why a document cannot have what a target proves itself
// by, "" if it can.
func UnusableMutual(m config.CHAPUser, users []config.CHAPUser) string {
	switch {
	case len(users) == 0:
		return "a target proves itself only to an initiator that proves itself too, and no user was carried"
	case slices.ContainsFunc(users, func(o config.CHAPUser) bool { return o.Secret == m.Secret }):
		return "its secret is also that of a user, which RFC 7143 9.2.1 forbids; give it a new one on both sides"
	}
	return Unusable(m, nil)
}
