package upkeep_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
)

func TestEditDocument(t *testing.T) {
	s := play(t, apitest.Options{})
	s.open2(t, "Edit the Document")
	s.Shows("This is the document in force.")
	s.Golden("document")
	// The name is on the second line.
	s.Press(tcell.KeyDown, tcell.KeyEnd)
	s.Type("s: : x")
	s.Shows("2:")
	s.Golden("document-wrong")
	s.Press(tcell.KeyF3)
	s.Wait("This is no document yet")
	s.Golden("document-none-yet")
	s.Enter()
	s.Press(tcell.KeyF2)
	s.Wait("The document is not right yet")
	s.Golden("the-document-is-not-right-yet")
	s.Enter()
	for range len("s: : x") {
		s.Press(tcell.KeyBackspace2)
	}
	s.Shows("This is the document in force.")
	// A fault of meaning is found, too, and gone to; secrets that are not shown are none.
	s.Press(tcell.KeyEnter)
	s.Type("nonsense: 1")
	s.Shows("nonsense")
	s.Press(tcell.KeyHome, tcell.KeyF4)
	s.Shows("3:1")
	for range len("nonsense: 1") {
		s.Press(tcell.KeyDelete)
	}
	s.Press(tcell.KeyBackspace2)
	s.Type("2")
	s.Shows("F2 shows what the array would do")
	s.Press(tcell.KeyF3)
	s.Wait("name: vault -> vault2")
	s.Golden("document-difference")
	s.Escape()
	before := s.a.Revisions()
	s.Press(tcell.KeyEscape)
	s.Wait("Give up what was typed?")
	s.Golden("give-up-what-was-typed")
	s.Escape()
	s.Press(tcell.KeyF2)
	s.Wait("Press c to carry this out")
	if n := s.a.Revisions(); n != before {
		t.Fatalf("%d revisions, want %d: something was changed without a confirmation", n, before)
	}
	s.Escape() // back, with what was typed

	// Somebody else comes between: theirs is not lost unseen.
	s.change(t, "esos device create mail", more)
	s.Press(tcell.KeyF2)
	s.Wait("Somebody else changed the document")
	s.Golden("document-overtaken")
	s.Press(tcell.KeyRight, tcell.KeyEnter)
	s.Wait("- device/mail")
	s.Escape()
	s.Press(tcell.KeyF2)
	s.Wait("Somebody else changed the document")
	s.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
	s.Wait("Delete device mail")
	s.CarryOut()
	s.Gone("The document")
	doc := s.a.Document()
	if _, err := doc.FindDevice("mail"); err == nil || doc.Name != "vault2" {
		t.Errorf("the document has the name %q and the devices %v", doc.Name, doc.Devices)
	}
	if secret := doc.Targets[0].Auth.Users[0].Secret; secret != "twelve-chars" {
		t.Errorf("the secret is now %q", string(secret))
	}
	// Nothing typed: Esc asks nothing.
	s.open2(t, "Edit the Document")
	s.Shows("This is the document in force.")
	s.Escape()
	s.Gone("The document")
}

const scst = `HANDLER vdisk_nullio {
	DEVICE disk1 {
		size_mb 16
		threads_num 4
		usn 12345678
		naa_id 6123456780000000000000000000abcd
	}
}
TARGET_DRIVER iscsi {
	enabled 1
	TARGET iqn.2019-03.com.example:moved {
		IncomingUser "joe 12charsecret"
		enabled 1
		GROUP hosts {
			LUN 0 disk1
			INITIATOR iqn.1994-05.com.redhat:*
		}
	}
}
TARGET_DRIVER lpfc_scst {
	TARGET 21:00:00:24:ff:05:7b:1a {
		LUN 0 disk1
	}
}
`

func TestImportExport(t *testing.T) {
	s := play(t, apitest.Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "scst.conf")
	if err := os.WriteFile(file, []byte(scst), 0o600); err != nil {
		t.Fatal(err)
	}
	s.open(t, "Export Settings")
	s.Golden("export")
	s.Escape()
	s.open(t, "Import Settings")
	s.Golden("import")
	s.Type("scst.conf")
	s.Shows("a whole path")
	s.Field(filepath.Join(dir, "missing"))
	s.Type(" ")
	s.Golden("import-format")
	s.Escape()
	s.Press(tcell.KeyTab, tcell.KeyEnter)
	s.Wait("no such file")
	s.Enter()
	s.Press(tcell.KeyBacktab, tcell.KeyBacktab)
	s.Field(file)
	s.Press(tcell.KeyTab, tcell.KeyEnter)
	s.Wait("Understood: 1 device, 1 target")
	s.Shows("iqn.2019-03.com.example:moved: 1 LUN, 1 host group with 1 initiator, 1")
	s.Shows("attribute threads_num of device disk1")
	s.Shows("! line 20")
	s.Golden("import-read")
	s.Type("p")
	s.Wait("Create device disk1")
	s.Destroy("device/scratch")
	s.Gone("Import Settings")
	doc := s.a.Document()
	if len(doc.Devices) != 1 || doc.Devices[0].Name != "disk1" || doc.Name != "vault" {
		t.Errorf("the document has the name %q and the devices %v", doc.Name, doc.Devices)
	}
	if u := doc.Targets[0].Auth.Users; len(u) != 1 || u[0].Secret != "12charsecret" {
		t.Errorf("the CHAP users are %v", u)
	}

	// And out again, by the real command.
	s.open(t, "Export Settings")
	short := fmt.Sprintf("/tmp/esos-out-%010d", os.Getpid()) // fits on a line, and is always as long
	if err := os.Mkdir(short, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	out := filepath.Join(short, "out.conf")
	s.Press(tcell.KeyTab)
	s.Field(out)
	s.Press(tcell.KeyTab)
	s.Enter()
	s.yes(t, "Write this file?")
	s.Wait("That failed.") // it has CHAP users
	s.Golden("export-refused", short, "/tmp/esos-out-0000000000")
	s.Shows("--reveal")
	s.Escape()
	s.Press(tcell.KeyBacktab) // the form kept what was typed
	s.Type(" ")
	s.Press(tcell.KeyTab)
	s.Enter()
	s.yes(t, "Write this file?")
	s.did(t, "export --format scst --reveal "+out)
	text, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(text), `IncomingUser "joe 12charsecret"`) {
		t.Errorf("%v: %s", err, text)
	}
	s.Escape()
	s.Gone("Export Settings")
	if _, err := config.Marshal(s.a.Document()); err != nil {
		t.Error(err)
	}
}
