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
//	transport: sends the status, unless Execute said the task would block;
//	           then it runs it again from a goroutine that may.
package scsi
