// Package filesystems is the File Systems menu: file systems, the images on them, and encryption.
package filesystems

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "File Systems", Key: 'f', Actions: []frame.Action{}}
}
