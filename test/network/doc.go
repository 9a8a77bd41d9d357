// Package network holds the appliance to what it promises of its network: two
// virtual machines, joined by cables that nobody else is on, set each other's
// interfaces up, cut each other off, and get back in.
package network
