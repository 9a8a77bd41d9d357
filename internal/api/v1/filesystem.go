package v1

import "github.com/esos-project/esos/internal/config"

// FileSystemState is a file system that is declared, as it is.
type FileSystemState struct {
	config.FileSystem
	Path     string `json:"path" doc:"Where it is mounted."`
	Mounted  bool   `json:"mounted"`
	ReadOnly bool   `json:"read_only,omitempty" doc:"The kernel lets nobody write, after an error."`
	Size     int64  `json:"size" doc:"Bytes for files, while it is mounted."`
	Used     int64  `json:"used" doc:"Bytes in use, while it is mounted."`
	Free     int64  `json:"free" doc:"Bytes left, while it is mounted."`
	Problem  string `json:"problem,omitempty" doc:"What is wrong with it, as of the last look."`
}

// StoredFile is a file on a file system.
type StoredFile struct {
	Path      string `json:"path" doc:"Below the directory where the file system is mounted."`
	Size      int64  `json:"size" doc:"Bytes."`
	Allocated int64  `json:"allocated" doc:"Bytes of space that it takes."`
	Device    string `json:"device,omitempty" doc:"The device that it is the store of."`
}

// Trimmed is what came of telling the disks about unused space.
type Trimmed struct {
	Said string `json:"said"`
}

// Checked is what a look for damage found.
type Checked struct {
	Good bool   `json:"good"`
	Said string `json:"said" doc:"Who looked, and what they said."`
}

// EncryptedState is an encrypted device that is declared, as it is.
type EncryptedState struct {
	config.Encrypted
	Path     string `json:"path" doc:"Where it is while it is open."`
	Made     bool   `json:"made" doc:"The encrypted data are there, open or not."`
	Open     bool   `json:"open"`
	Size     int64  `json:"size" doc:"Bytes, while it is open."`
	Waits    bool   `json:"waits" doc:"It waits for somebody who types its passphrase."`
	NoBackup bool   `json:"recovery_key_unseen,omitempty" doc:"Nobody has its recovery key: if the machine's board fails, all of it is lost."`
	Problem  string `json:"problem,omitempty" doc:"What is wrong with it, as of the last look."`
}

// Unlock is a passphrase.
type Unlock struct {
	Passphrase config.Secret `json:"passphrase" doc:"The passphrase."`
	Make       bool          `json:"make,omitempty" doc:"It is a new one: what is not there yet is made with it. It was typed twice."`
}

// RecoveryKey opens an encrypted device whose TPM is gone.
type RecoveryKey struct {
	Key string `json:"key" doc:"It is shown once. Write it down, and keep it away from the array."`
}
