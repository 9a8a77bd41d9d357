package mdadm

import (
	"bufio"
	"bytes"
	"strings"
)

// export is what mdadm --detail --export tells of an array.
type export struct {
	UUID, Name, Level string
	Disks             int
}

// parseExport reads KEY=VALUE lines.
func parseExport(text []byte) (e export) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "MD_UUID":
			e.UUID = FromMD(value)
		case "MD_NAME":
			e.Name = bare(value)
		case "MD_LEVEL":
			e.Level = strings.TrimPrefix(value, "raid")
		case "MD_DEVICES":
			e.Disks = int(min(leading(value), 1<<16))
		}
	}
	return e
}

// FromMD makes the usual form of a UUID out of md's, four groups of eight; ""
// if it is none.
func FromMD(text string) string {
	digits := strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if len(digits) != 32 || strings.Trim(digits, "0123456789abcdef") != "" {
		return ""
	}
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}

// ToMD makes md's form of a UUID out of the usual one.
func ToMD(uuid string) string {
	digits := strings.ToLower(strings.ReplaceAll(uuid, "-", ""))
	if len(digits) != 32 {
		return uuid
	}
	return digits[:8] + ":" + digits[8:16] + ":" + digits[16:24] + ":" + digits[24:]
}
