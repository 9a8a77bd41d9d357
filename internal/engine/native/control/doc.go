// Package control is the protocol between the daemon and the target process,
// on a Unix socket that only their user can open. The daemon asks (devices,
// targets, LUNs put and taken away; what is served, by whom), the process
// answers each request, and sends events by itself. What the process needs to
// serve (files, block devices, listening sockets) the daemon opens and sends
// along as descriptors: the process opens no path.
//
// A frame is a header of 8 bytes, then JSON:
//
//	0  magic, 2 bytes: 0xE5 0x05
//	2  descriptors that ride on this frame (SCM_RIGHTS), 2 bytes
//	4  length of the JSON in bytes, 4 bytes
//
// in network byte order. Within a protocol version fields are only added; a
// field that one side does not know is ignored.
package control

// Version is the version of the protocol. Two sides of different versions do
// not talk; the daemon then replaces the process.
const Version = 1
