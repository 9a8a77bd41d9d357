// Package crash holds the tests of kernels that crash, and of logs that are
// kept, in virtual machines that run the appliance's image.
package crash
