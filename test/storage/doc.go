// Package storage holds the tests of the storage stack in virtual machines:
// from blank disks to LUNs, and what becomes of these when disks fail, are
// missing, or come back.
package storage
