// Package scsi is the device side of SCSI: logical units, the LUN maps that
// initiators reach them through, tasks, sense data, unit attentions,
// reservations and asymmetric access.
//
// It follows SAM-5 for the model, SPC-5 for the commands that every device
// type shares; what only disks, tapes, changers or CD-ROMs do is in the
// packages below this one. A transport (package iscsi) makes a Nexus for each
// session and hands it Tasks; a Unit checks them and lets its Device carry
// them out.
//
// The way of an I/O:
//
//	transport: fills a Task (CDB, LUN, Transfer)
//	  -> Nexus.Admit    finds the Path, checks its gate, parses the CDB
//	  -> transport      gathers Task.OutLen bytes of Data-Out, if any
//	  -> Nexus.Execute  runs Command.Do; Data-In leaves through Task.Transfer
//	transport: sends the status; or, if the task would block, runs it again
//	           from a goroutine that may; or, if it is held back for the order
//	           of tasks, waits for Transport.Resume
//
// A task that Admit let in leaves by Execute returning true or by Nexus.Drop.
//
// The way of a change: whatever an initiator must hear of is a unit attention
// on its Path (Path.attention); whatever stops commands is a bit in the Path's
// gate (Unit.regate), computed when it changes and not when a command comes.
// So the price of all of it for an I/O is to load the gate and find it zero.
//
// Locks, in the order in which they may be taken: Nexus.mu, Target.mu,
// Unit.reserving, mode.mu, Unit.mu, Path.mu. A Transport is called without
// Target.mu, Unit.mu and Path.mu.
package scsi
