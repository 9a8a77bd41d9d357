// Package host is the one gate to Linux: files and block devices are made,
// opened and grown here, sockets are bound here, and processes are started
// here. What is above it decides; what is here does one thing to the machine
// and says exactly what went wrong when that failed.
package host
