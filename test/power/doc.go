// Package power cuts the power of an appliance: on paper, a hundred times in
// a log of what it wrote to its medium, each cut booted by esos-init's own
// code as far as systemd; and in earnest, by killing its virtual machine.
package power
