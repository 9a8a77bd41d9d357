// Package e2e shows what ESOS promises, from the outside: the real binaries,
// real initiators (QEMU's block layer, libiscsi, a Linux kernel in a virtual
// machine) and the commands a user types. The tests have levels, see package
// level; `make test` and `make test-full` run them.
package e2e
