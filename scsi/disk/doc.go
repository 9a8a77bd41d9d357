// Package disk is the direct access block device: what SBC-4 adds to the
// commands of all device types, over a backing.Store.
//
// The ways of data:
//
//	READ:  Store -> Transfer.Room   no copy, no lock, no allocation
//	WRITE: Task.Out -> Store        likewise
//
// Both first try what the store can do at once and leave the rest to a call
// that may block. Whatever has to be atomic (COMPARE AND WRITE, ORWRITE, WRITE
// ATOMIC) closes a gate over its blocks; while no such command runs, the gate
// costs the others two atomic additions and one load.
package disk
