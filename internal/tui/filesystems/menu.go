// Package filesystems is the File Systems menu: file systems, the images on them, and encryption.
package filesystems

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries: those that users of earlier ESOS know come first, in
// their order.
func Menu() frame.Menu {
	return frame.Menu{Title: "File Systems", Key: 'f', Actions: []frame.Action{
		{Title: "VDisk File List", Does: "The files on a file system: what they take, and which device uses each.", IDs: []string{"F1"},
			Command: "esos filesystem files NAME", Do: fileList},
		{Title: "Add File System", Does: "Make a file system for image files on a block device, or take up one that is there.", IDs: []string{"F2"},
			Command: "esos filesystem create NAME --device PATH", Do: addFileSystem},
		{Title: "Remove File System", Does: "Give up a file system; what it holds stays, or is deleted.", IDs: []string{"F3"},
			Command: "esos filesystem delete NAME", Do: chooseRemoval},
		{Title: "Add VDisk File", Does: "Make an image file on a file system, and the device that serves it.", IDs: []string{"F4"},
			Command: "esos device create NAME --path PATH --size SIZE", Do: func(d *frame.Desk) { addVDisk(d, "") }},
		{Title: "Remove VDisk File", Does: "Delete an image file or ISO file that no device uses any more.", IDs: []string{"F5"},
			Command: "esos image delete PATH", Do: chooseFileRemoval},
		{Title: "File Systems", Does: "All file systems: mount options, trim, check, grow.",
			Command: "esos filesystem list", Do: fileSystemList},
		{Title: "Grow File System", Does: "Grow what a file system lies on; it follows while it is in use.",
			Command: "esos volume resize GROUP/VOLUME SIZE", Do: chooseGrowth},
		{Title: "Image and ISO Library", Does: "All image files and ISO files: copy, upload, delete.",
			Command: "esos image list", Do: library},
		{Title: "Copy Image File", Does: "Copy an image file; at once where blocks are shared (xfs, btrfs).",
			Command: "esos image copy FROM TO", Do: func(d *frame.Desk) { copyImage(d, "") }},
		{Title: "Upload Image or ISO File", Does: "Put a file of this machine, such as one on a USB stick, into the library.",
			Command: "esos image upload FILE FILESYSTEM", Do: func(d *frame.Desk) { uploadImage(d, "") }},
		{Title: "Encrypted Devices", Does: "Encrypted block devices (LUKS2): their state and their keys.",
			Command: "esos encryption list", Do: encryptedList},
		{Title: "Add Encrypted Device", Does: "Encrypt a block device, with a key in the TPM, in a file or in your head.",
			Command: "esos encryption create NAME --device PATH --key KEY", Do: addEncrypted},
		{Title: "Unlock Encrypted Device", Does: "Type the passphrase of an encrypted device that waits for it.",
			Command: "esos encryption unlock NAME", Do: chooseUnlock},
	}}
}
