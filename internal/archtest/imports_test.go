package archtest

import (
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/esos-project/esos/"

// forbidden lists the edges that must not exist and why. A pattern is a
// package path within the module; "..." at its end takes in everything below.
// What is reached through other packages counts as well.
var forbidden = []struct {
	from, to string
	except   []string
	reason   string
}{
	{from: "scsi/...", to: "internal/...", reason: "the data plane serves any Go program and knows nothing of the appliance"},
	{from: "iscsi/...", to: "internal/...", reason: "the data plane serves any Go program and knows nothing of the appliance"},
	{from: "backing/...", to: "internal/...", reason: "the data plane serves any Go program and knows nothing of the appliance"},
	{from: "scsi/...", to: "iscsi/...", reason: "an I/O goes down from iscsi to scsi; SCSI does not know its transports"},
	{from: "scsi", to: "backing", reason: "only device types know where the bytes are; a changer has none"},
	{from: "backing/...", to: "scsi/...", reason: "backing is the bottom; nvme enters there without SCSI"},
	{from: "backing/...", to: "iscsi/...", reason: "backing is the bottom"},
	{from: "internal/config/...", to: "internal/...", except: []string{"internal/config/..."},
		reason: "the document is checked without a machine, an engine or a daemon"},
	{from: "internal/carry/...", to: "internal/...", except: []string{"internal/carry/...", "internal/config/..."},
		reason: "files of other targets are read without a machine, an engine or a daemon"},
	{from: "internal/plan/...", to: "internal/...", except: []string{"internal/plan/...", "internal/config/..."},
		reason: "steps are ordered and shown without a machine, an engine or a daemon"},
	{from: "internal/host/...", to: "internal/...", except: []string{"internal/host/..."},
		reason: "host is the gate to Linux; everybody stands on it and it on nobody"},
	{from: "internal/engine/...", to: "internal/layer/...", reason: "layers drive engines, never the other way"},
	{from: "internal/engine/...", to: "internal/appliance/...", reason: "the appliance drives engines through layers"},
	{from: "internal/nvmet/...", to: "internal/...", except: []string{"internal/nvmet/...", "internal/config/...", "internal/host/..."},
		reason: "it serves beside whichever engine is chosen; a layer drives it"},
	{from: "internal/snapshot/...", to: "internal/...", except: []string{"internal/snapshot/...", "internal/config/...", "internal/host/..."},
		reason: "it works on what is declared, beside the layers; the appliance says when"},
	{from: "internal/library/...", to: "internal/...", except: []string{"internal/library/...", "internal/config/...", "internal/host/..."},
		reason: "it works on files; the appliance says who uses them"},
	{from: "internal/layer/...", to: "internal/appliance/...", reason: "the conductor calls the layers; a layer does not know the whole"},
	{from: "internal/appliance/...", to: "internal/api/...", reason: "faces stand on the appliance"},
	{from: "internal/client/...", to: "internal/appliance/...", reason: "faces reach the appliance through the API only, from any machine"},
	{from: "internal/cli/...", to: "iscsi/...", reason: "the CLI is a face: it edits the document through the client"},
	{from: "internal/tui", to: "internal/appliance/...", reason: "the console is a face: it reaches the appliance through the client only"},
	{from: "internal/tui", to: "internal/cli/...", reason: "the command shows the console, not the other way; it hands its own commands in"},
	{from: "internal/tui/frame", to: "internal/layer/...", reason: "the kit knows nothing of storage"},
	{from: "internal/slot/...", to: "internal/...", except: []string{"internal/slot/...", "internal/host/..."},
		reason: "who checks a slot, from the initramfs to the builder, needs nothing else"},
	{from: "internal/persist/...", to: "internal/...", except: []string{"internal/persist/...", "internal/host/..."},
		reason: "settings are restored before there is an appliance"},
	{from: "internal/medium/...", to: "internal/...", except: []string{"internal/medium/...", "internal/boot/...", "internal/persist/...", "internal/slot/...", "internal/host/...", "internal/crash", "internal/shelf"},
		reason: "a medium is made and found without an appliance: by the builder, the installer, the initramfs"},
	{from: "internal/boot/...", to: "internal/...", except: []string{"internal/boot/...", "internal/slot/...", "internal/persist/...", "internal/host/...", "internal/crash", "internal/shelf"},
		reason: "the first process of a boot is small: it brings the system into memory and hands over"},
	{from: "internal/upgrade/...", to: "internal/appliance/...", reason: "an upgrade works when the daemon does not"},
	{from: "internal/image/...", to: "internal/appliance/...", reason: "the builder makes images; it runs no array"},
	{from: "internal/image/...", to: "internal/api/...", reason: "the builder makes images; it runs no array"},
	{from: "internal/alert/...", to: "internal/appliance/...", reason: "the daemon puts alerts and the appliance together"},
	{from: "internal/mkesos/...", to: "internal/appliance/...", reason: "mkesos is a face of the builder, not of an array"},
	{from: "cmd/esos-init", to: "internal/cli/...", reason: "the first process of a boot is small"},
	{from: "cmd/esos", to: "iscsi", reason: "the daemon serves no initiator itself; esos-target does"},
	{from: "cmd/esos-target", to: "internal/appliance/...", reason: "the target process has few imports: it faces strangers"},
	{from: "cmd/esos-target", to: "internal/api/...", reason: "the target process has few imports: it faces strangers"},
	{from: "cmd/esos-target", to: "internal/config/...", reason: "the target process parses no documents"},
	{from: "cmd/esos-target", to: "internal/host/...", reason: "the target process gets descriptors from the daemon and opens nothing itself"},
}

// forbiddenModules are other people's modules that a part must not reach.
var forbiddenModules = []struct{ from, module, reason string }{
	{"cmd/esos-target", "github.com/danielgtaylor/huma", "no HTTP in the process that faces initiators"},
	{"cmd/esos-target", "github.com/spf13/cobra", "a process with three flags needs no CLI framework"},
	{"cmd/esos-target", "go.yaml.in/yaml", "the target process parses no documents"},
	{"cmd/esos-target", "net/http", "no HTTP in the process that faces initiators"},
	{"cmd/esos-init", "net/http", "the first process of a boot is small, and speaks to no network"},
	{"cmd/esos-init", "github.com/spf13/cobra", "the kernel's command line is all that it takes"},
	{"cmd/esos-init", "go.yaml.in/yaml", "the initramfs parses no documents"},
	{"internal/image/...", "github.com/spf13/cobra", "the command line is mkesos's"},
	{"scsi/...", "log", "the way of an I/O does not log"},
	{"scsi/...", "log/slog", "the way of an I/O does not log"},
	{"backing/...", "log/slog", "the way of an I/O does not log"},
	{"internal/config/...", "os/exec", "the document is checked without a machine"},
}

func TestArrowsPointDown(t *testing.T) {
	pkgs := load(t)
	for _, rule := range forbidden {
		matched := false
		for path, p := range pkgs {
			if !matches(rule.from, path) {
				continue
			}
			matched = true
			for to, via := range reach(p, pkgs) {
				if !matches(rule.to, to) || matchesAny(rule.except, to) {
					continue
				}
				t.Errorf("%s reaches %s (%s), which it must not: %s", path, to, strings.Join(via, " -> "), rule.reason)
			}
		}
		if !matched && !strings.HasSuffix(rule.from, "...") {
			t.Errorf("the rule about %s names no package: mend or remove it", rule.from)
		}
	}
	for _, rule := range forbiddenModules {
		for path, p := range pkgs {
			if !matches(rule.from, path) {
				continue
			}
			for imp := range imports(p, pkgs) {
				if imp == rule.module || strings.HasPrefix(imp, rule.module+"/") && strings.Contains(rule.module, ".") {
					t.Errorf("%s reaches %s, which it must not: %s", path, imp, rule.reason)
				}
			}
		}
	}
}

// load returns the module's packages by their path within it.
func load(t *testing.T) map[string]*packages.Package {
	t.Helper()
	list, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedImports | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedModule,
		Dir:  "../..",
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*packages.Package{}
	for _, p := range list {
		for _, e := range p.Errors {
			t.Errorf("%s: %v", p.PkgPath, e)
		}
		found[strings.TrimPrefix(p.PkgPath, module)] = p
	}
	if len(found) < 5 {
		t.Fatalf("only %d packages found: the test looks in the wrong place", len(found))
	}
	return found
}

// reach returns the module's packages that p imports, directly or not, each
// with the way there.
func reach(p *packages.Package, all map[string]*packages.Package) map[string][]string {
	seen := map[string][]string{}
	var walk func(p *packages.Package, way []string)
	walk = func(p *packages.Package, way []string) {
		for imp := range p.Imports {
			path, ours := strings.CutPrefix(imp, module)
			if !ours || seen[path] != nil {
				continue
			}
			here := append(append([]string(nil), way...), path)
			seen[path] = here
			if next := all[path]; next != nil {
				walk(next, here)
			}
		}
	}
	walk(p, []string{strings.TrimPrefix(p.PkgPath, module)})
	return seen
}

// imports returns what p and the module's packages below it import themselves.
func imports(p *packages.Package, all map[string]*packages.Package) map[string]bool {
	found := map[string]bool{}
	add := func(p *packages.Package) {
		for imp := range p.Imports {
			found[imp] = true
		}
	}
	add(p)
	for path := range reach(p, all) {
		if q := all[path]; q != nil {
			add(q)
		}
	}
	return found
}

func matches(pattern, path string) bool {
	base, tree := strings.CutSuffix(pattern, "...")
	if !tree {
		return path == pattern
	}
	return path == strings.TrimSuffix(base, "/") || strings.HasPrefix(path, base)
}

func matchesAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if matches(p, path) {
			return true
		}
	}
	return false
}
