package scstconf

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// Write writes a document as scst.conf, with its secrets.
func (Format) Write(d *config.Document, o carry.Options) (*carry.Export, error) {
	w := &writer{d: d, o: o, lost: map[string]bool{}, names: map[string]string{}}
	w.out.WriteString("# scst.conf of the array " + d.Name + ", written by ESOS.\n")
	w.devices()
	w.driver()
	w.portDrivers()
	for _, g := range d.DeviceGroups {
		w.deviceGroup(g)
	}
	w.Attributes(d)
	w.Machine(d)
	return &carry.Export{Text: w.out.Bytes(), Left: w.Left}, nil
}

type writer struct {
	carry.Told
	d     *config.Document
	o     carry.Options
	out   bytes.Buffer
	depth int
	lost  map[string]bool   // devices that are not in the file
	names map[string]string // addresses of SCSI devices, by device: their names in the file
}

// open begins a section.
func (w *writer) open(words ...string) {
	if w.depth == 0 {
		w.out.WriteByte('\n')
	}
	w.indent()
	w.words(words)
	w.out.WriteString(" {\n")
	w.depth++
}

func (w *writer) close() {
	w.depth--
	w.indent()
	w.out.WriteString("}\n")
}

func (w *writer) line(words ...string) {
	w.indent()
	w.words(words)
	w.out.WriteByte('\n')
}

func (w *writer) indent() { w.out.WriteString(strings.Repeat("\t", w.depth)) }

func (w *writer) words(words []string) {
	for i, word := range words {
		if i > 0 {
			w.out.WriteByte(' ')
		}
		w.out.WriteString(quoted(word))
	}
}

// quoted writes a word so that it is read again as it is.
func quoted(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`{}"\#`, r) }) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `#`, `\#`).Replace(s) + `"`
}

// oneLine says whether text can stand in a file that is read by lines.
func oneLine(s string) bool { return !strings.ContainsRune(s, '\n') }

// devices writes the handlers, each with its devices.
func (w *writer) devices() {
	var handlers []config.Handler
	for _, d := range w.d.Devices {
		switch {
		case d.Handler == config.Memory:
			w.lose(d, "SCST has no disk in memory; a file on a tmpfs is one")
		case !oneLine(d.Path):
			w.lose(d, "its path has a line break")
		case d.Handler.PassThrough() && !passedThrough(d.Path):
			w.lose(d, "SCST names a SCSI device by its HOST:CHANNEL:ID:LUN; write its path like that")
		case !slices.Contains(handlers, d.Handler):
			handlers = append(handlers, d.Handler)
		}
	}
	for _, d := range w.d.Devices {
		if d.Handler.PassThrough() {
			w.names[d.Name] = d.Path
		}
	}
	for _, h := range handlers {
		w.open("HANDLER", string(h))
		for _, d := range w.d.Devices {
			if d.Handler == h && !w.lost[d.Name] {
				w.device(d)
			}
		}
		w.close()
	}
}

func (w *writer) lose(d config.Device, why string) {
	w.lost[d.Name] = true
	w.Miss("device "+d.Name, why)
}

// named is what a device is called in the file.
func (w *writer) named(device string) string {
	if address := w.names[device]; address != "" {
		return address
	}
	return device
}

func (w *writer) device(d config.Device) {
	if d.Handler.PassThrough() {
		w.line("DEVICE", d.Path)
		if d.Name != passedName(d.Path) {
			w.Leave("name of device "+d.Name, "SCST calls it "+d.Path)
		}
		return
	}
	w.open("DEVICE", d.Name)
	attribute := func(key, value string) {
		if value != "" {
			w.line(key, value)
		}
	}
	attribute("filename", w.o.Path(d))
	if d.Handler == config.NullIO {
		attribute("size", strconv.FormatInt(int64(d.Size), 10))
	} else if d.Size != 0 {
		w.Leave("size of device "+d.Name, "SCST serves its file as large as it is; "+d.Size.String()+" is declared")
	}
	if d.Handler != config.CDROM {
		if d.BlockSize != 0 {
			attribute("blocksize", strconv.Itoa(d.BlockSize))
		}
		for _, f := range []struct {
			key string
			on  bool
		}{{"write_through", d.WriteThrough && d.Handler != config.NullIO}, {"o_direct", d.ODirect}, {"read_only", d.ReadOnly}, {"removable", d.Removable}} {
			if f.on {
				attribute(f.key, "1")
			}
		}
		if !d.Rotational {
			attribute("rotational", "0")
		}
	}
	switch d.Provisioning {
	case config.Thin:
		attribute("thin_provisioned", "1")
	case config.Thick:
		w.Leave("provisioning of device "+d.Name, "SCST makes no files")
	}
	id := d.WithDefaults().Identity
	attribute("usn", id.Serial)
	attribute("t10_dev_id", id.T10ID)
	attribute("naa_id", id.NAA)
	attribute("t10_vend_id", id.Vendor)
	attribute("prod_id", id.Product)
	attribute("prod_rev_lvl", d.Identity.Revision)
	w.close()
}

// driver writes the iSCSI targets.
func (w *writer) driver() {
	i := w.d.ISCSI
	targets := w.targetsOf(config.DriverISCSI)
	if len(targets)+len(i.Portals)+len(i.Discovery.Users) == 0 {
		return
	}
	for _, p := range i.Portals {
		_, port, _ := carry.Host(p)
		if strconv.Itoa(port) != carry.Port {
			w.Miss("port of portal "+p.Name, "the file has none; start iscsi-scstd with -p")
		}
		if p.WithDefaults().Group != 1 {
			w.Miss("group of portal "+p.Name, "SCST has one target port for each target, with portal group tag 1")
		}
		if p.Announce != "" {
			w.Miss("announce of portal "+p.Name, "SCST tells the address itself")
		}
		if p.ISER {
			w.Leave("iser of portal "+p.Name, "SCST serves iSER at every address where its module isert_scst is loaded")
		}
	}
	w.open("TARGET_DRIVER", "iscsi")
	w.line("enabled", "1")
	w.auth(i.Discovery, "discovery")
	for _, t := range targets {
		w.target(t)
	}
	w.close()
}

func (w *writer) targetsOf(d config.Driver) []config.Target {
	var targets []config.Target
	for _, t := range w.d.Targets {
		if t.WithDefaults().Driver == d {
			targets = append(targets, t)
		}
	}
	return targets
}

// portDrivers writes the targets that are ports of the machine.
func (w *writer) portDrivers() {
	for _, d := range drivers()[1:] {
		targets := w.targetsOf(d)
		if len(targets) == 0 {
			continue
		}
		w.open("TARGET_DRIVER", string(d))
		for _, t := range targets {
			w.target(t)
		}
		w.close()
	}
}

// auth writes CHAP users. open is true when there are users, and none could be
// written.
func (w *writer) auth(a config.Auth, of string) (open bool) {
	open = len(a.Users) > 0
	if len(a.Algorithms) > 0 {
		w.Miss("algorithms of "+of, "iscsi-scstd takes all that it knows")
	}
	names := map[string]bool{}
	user := func(key, what string, u config.CHAPUser) {
		secret := string(u.Secret)
		switch {
		case u.Name == "" || strings.IndexFunc(u.Name, unicode.IsSpace) >= 0 || strings.TrimSpace(secret) != secret || !oneLine(secret):
			w.Miss(what, "SCST parts name and secret at the blank, on one line")
		case key == "IncomingUser" && names[u.Name]:
			w.Miss(what, "SCST has one user of a name for a target")
		default:
			w.line(key, u.Name+" "+secret)
			open = false
		}
	}
	for _, u := range a.Users {
		user("IncomingUser", "user "+u.Name+" of "+of, u)
		if len(u.Initiators) > 0 {
			w.Miss("initiators of user "+u.Name+" of "+of, "SCST's users are for every initiator of the target")
		}
		names[u.Name] = true
	}
	if a.Mutual != nil {
		still := open
		user("OutgoingUser", "mutual of "+of, *a.Mutual)
		open = still
	}
	return open
}

func (w *writer) target(t config.Target) {
	of := "target " + t.Name
	w.open("TARGET", t.Name)
	attribute := func(key, value string) {
		switch {
		case value == "":
		case oneLine(value):
			w.line(key, value)
		default:
			w.Leave(key+" of "+of, "it has a line break")
		}
	}
	for n, tag := range slices.Sorted(maps.Keys(t.RelativeIDs)) {
		if n > 0 {
			w.Miss(fmt.Sprintf("relative_ids[%d] of %s", tag, of), "SCST has one target port for each target")
			continue
		}
		attribute("rel_tgt_id", strconv.Itoa(t.RelativeIDs[tag]))
	}
	attribute("alias", t.Alias)
	open := w.auth(t.Auth, of)
	for _, host := range w.allowed(t) {
		attribute("allowed_portal", host)
	}
	if t.Redirect != "" {
		if host, _, _ := net.SplitHostPort(t.Redirect); validAddr(host) {
			attribute("redirect", t.Redirect+" temp")
		} else {
			w.Miss("redirect of "+of, "SCST sends logins to an address, not to a name")
		}
	}
	w.parameters(t.Parameters, attribute)
	w.luns(t.LUNs, of)
	for _, g := range t.Groups {
		w.open("GROUP", g.Name)
		for _, p := range g.Initiators {
			w.line("INITIATOR", p)
		}
		w.luns(g.LUNs, "group "+g.Name+" of "+of)
		w.close()
	}
	enabled := "1"
	if t.Disabled || open {
		enabled = "0"
	}
	if open {
		w.Miss(of, "it is disabled in the file: without a user everybody might log in")
	}
	w.line("enabled", enabled)
	w.close()
}

func validAddr(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// allowed lists the addresses that a target is reached by, none for all.
func (w *writer) allowed(t config.Target) []string {
	if !t.Driver.Portals() {
		return nil
	}
	var hosts []string
	named := func(name string) *config.Portal {
		p, _ := w.d.FindPortal(name)
		return p
	}
	names := t.Portals
	if len(names) == 0 {
		for _, p := range w.d.ISCSI.Portals {
			names = append(names, p.Name)
		}
	}
	for _, name := range names {
		p := named(name)
		if p == nil {
			continue
		}
		host, _, wild := carry.Host(*p)
		if wild {
			return nil
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

func (w *writer) parameters(p config.Parameters, attribute func(key, value string)) {
	number := func(key string, n int) {
		if n != 0 {
			attribute(key, strconv.Itoa(max(n, 0)))
		}
	}
	yes := func(key string, v *bool) {
		switch {
		case v == nil:
		case *v:
			attribute(key, "Yes")
		default:
			attribute(key, "No")
		}
	}
	attribute("HeaderDigest", strings.Join(p.HeaderDigest, ","))
	attribute("DataDigest", strings.Join(p.DataDigest, ","))
	number("MaxRecvDataSegmentLength", p.MaxRecvDataSegmentLength)
	number("MaxBurstLength", p.MaxBurstLength)
	number("FirstBurstLength", p.FirstBurstLength)
	number("MaxOutstandingR2T", p.MaxOutstandingR2T)
	yes("InitialR2T", p.InitialR2T)
	yes("ImmediateData", p.ImmediateData)
	number("QueuedCommands", p.QueuedCommands)
	number("NopInInterval", p.NopInInterval)
	number("NopInTimeout", p.NopInTimeout)
	number("MaxSessions", p.MaxSessions)
}

func (w *writer) luns(luns []config.LUN, of string) {
	for _, l := range luns {
		if w.lost[l.Device] {
			w.Miss(fmt.Sprintf("LUN %d (%s) of %s", l.LUN, l.Device, of), "its device is not in the file")
			continue
		}
		words := []string{"LUN", strconv.Itoa(l.LUN), w.named(l.Device)}
		if !l.ReadOnly {
			w.line(words...)
			continue
		}
		w.open(words...)
		w.line("read_only", "1")
		w.close()
	}
}

func (w *writer) deviceGroup(g config.DeviceGroup) {
	w.open("DEVICE_GROUP", g.Name)
	for _, name := range g.Devices {
		if w.lost[name] {
			w.Miss("device "+name+" of device group "+g.Name, "it is not in the file")
			continue
		}
		w.line("DEVICE", w.named(name))
	}
	for _, tg := range g.TargetGroups {
		w.open("TARGET_GROUP", tg.Name)
		w.line("group_id", strconv.Itoa(tg.ID))
		if tg.Preferred {
			w.line("preferred", "1")
		}
		if tg.State != "" {
			w.line("state", tg.State)
		}
		for _, t := range tg.Targets {
			if t.RelativeID == 0 {
				w.line("TARGET", t.Name)
				continue
			}
			w.open("TARGET", t.Name)
			w.line("rel_tgt_id", strconv.Itoa(t.RelativeID))
			w.close()
		}
		w.close()
	}
	w.close()
}
