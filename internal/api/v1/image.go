package v1

// Image is an image file or an ISO file.
type Image struct {
	Path       string   `json:"path"`
	FileSystem string   `json:"filesystem" doc:"Name of the file system that it is on; - for the data directory."`
	Kind       string   `json:"kind" enum:"image,iso"`
	Size       int64    `json:"size" doc:"In bytes."`
	Allocated  int64    `json:"allocated" doc:"Bytes of space that it takes; blocks that it shares with others count, too."`
	UsedBy     []string `json:"used_by,omitempty" doc:"Devices that use it."`
}

// Images are the image files and ISO files that there are.
type Images struct {
	Images   []Image  `json:"images"`
	Problems []string `json:"problems,omitempty" doc:"Why some may be missing here: what could not be looked at."`
}

// ImageCopy asks for a copy of a file.
type ImageCopy struct {
	From string `json:"from" minLength:"1" maxLength:"4096" doc:"Path of the file: absolute, or below the data directory."`
	To   string `json:"to" minLength:"1" maxLength:"4096" doc:"Path of the copy; there must be no file yet."`
}

// ImageReceived is a file that was received.
type ImageReceived struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256" doc:"In hex."`
}
