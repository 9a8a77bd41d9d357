// Package upgrade has the tests of upgrades: an appliance in a virtual machine
// gets other versions of ESOS, good ones and all kinds of bad ones, and is
// booted with each from power-off.
package upgrade
