// Package boot holds the tests of esos-init in virtual machines: with a root
// of a few megabytes that is made from this machine's own packages, so that
// they need no image of the appliance.
package boot
