// Package durability holds the tests of what must never be lost: what was
// acknowledged as stable while the target process was killed again and again,
// and the sessions of a daemon that was killed.
package durability
