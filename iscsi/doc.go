// Package iscsi is an iSCSI target (RFC 7143): portals, sessions and the
// engine of the full feature phase. It stands on package wire (the layout of
// PDUs) and package login (the login phase), and hands SCSI tasks to package
// scsi.
//
// The way of an I/O, all on the connection's one goroutine:
//
//	receive   one recv takes what the socket has into the receive buffer
//	command   each PDU in it becomes a scsi.Task, is admitted and executed
//	dataIn    the device reads straight into the transmit buffer
//	transmit  one send for all answers of the batch
//
// A task whose device would have to wait is away (away.go): the kernel carries
// its I/O out, if it is one transfer past the page cache; else a worker
// goroutine of the connection does. The batch goes on. Long data that the kernel
// read is sent from where it stands (lend.go). Nothing on this way allocates,
// logs or takes a lock that another connection could hold.
//
// With nothing left to receive the connection keeps a vigil (vigil.go), then
// sleeps until the runtime's poller hears from its socket (gate.go).
//
// # Locks
//
// A connection has one lock, mu. The receive goroutine holds it while it works
// through a batch, never while it waits for the socket. Workers, task
// management and the server take it for what they have to say. It guards the
// numbering (CmdSN, StatSN), the task table, the transmit buffer and the queue
// behind it: PDUs leave in the order of their StatSN. Nobody calls down into
// package scsi with a task that may block, or with a task management function,
// while holding it; nobody who holds it takes the server's lock.
//
// # Limits
//
// What a stranger may use is bounded before it is given: connections in login
// in all and by address, the time and the text of a login, the data of a PDU,
// the commands outstanding (the CmdSN window), the memory for gathered writes
// (in all and by session), the answers queued for an initiator that does not
// read.
package iscsi
