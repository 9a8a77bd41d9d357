// Package kernel holds the engines in the kernel to what they promise, on the
// appliance's own kernel: in one virtual machine from inside, and between two
// of them over cables.
package kernel
