package api

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/engine"
)

// metricsTime bounds how long a scrape may take.
const metricsTime = 10 * time.Second

// collector reads the array's counters when they are asked for.
type collector struct {
	app     Appliance
	alerts  Alerts
	version string

	info, up, devices, revision *prometheus.Desc
	active                      *prometheus.Desc
	lun, target, session        family
	sessions                    *prometheus.Desc
}

// family are the metrics of one kind of object.
type family struct {
	commands, bytes, errors, latency *prometheus.Desc
}

func newFamily(of, help string, labels ...string) family {
	name := func(s string) string { return prometheus.BuildFQName("esos", of, s) }
	kind := append(labels, "op")
	return family{
		commands: prometheus.NewDesc(name("commands_total"), "SCSI commands "+help+", by kind: read, write, other.", kind, nil),
		bytes:    prometheus.NewDesc(name("bytes_total"), "Bytes moved "+help+", by kind: read, write.", kind, nil),
		errors:   prometheus.NewDesc(name("errors_total"), "SCSI commands "+help+" that failed.", labels, nil),
		latency:  prometheus.NewDesc(name("latency_seconds"), "Time that commands took "+help+", by kind: read, write.", kind, nil),
	}
}

func newCollector(app Appliance, alerts Alerts, version string) *collector {
	return &collector{app: app, alerts: alerts, version: version,
		info:     prometheus.NewDesc("esos_info", "Always 1; the labels tell the array's name, version and engine.", []string{"name", "version", "engine"}, nil),
		up:       prometheus.NewDesc("esos_ok", "1 if what is served is what is declared, else 0.", nil, nil),
		devices:  prometheus.NewDesc("esos_device_size_bytes", "Declared size of a device; 0 if its file has it.", []string{"device", "handler"}, nil),
		revision: prometheus.NewDesc("esos_config_revision", "Number of the document in force.", nil, nil),
		active:   prometheus.NewDesc("esos_alerts", "Active alerts, by severity.", []string{"severity"}, nil),
		sessions: prometheus.NewDesc("esos_target_sessions", "Initiators logged in to a target.", []string{"target"}, nil),
		lun:      newFamily("lun", "of a LUN", "target", "group", "lun", "device"),
		target:   newFamily("target", "of a target", "target"),
		session:  newFamily("session", "of a session", "target", "group", "initiator", "session"),
	}
}

// Describe names what there can be.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.info, c.up, c.devices, c.revision, c.active, c.sessions} {
		ch <- d
	}
	for _, f := range []family{c.lun, c.target, c.session} {
		for _, d := range []*prometheus.Desc{f.commands, f.bytes, f.errors, f.latency} {
			ch <- d
		}
	}
}

// Collect reads it all. What cannot be read is an error of the scrape.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTime)
	defer cancel()
	c.collectAlerts(ch)
	c.collectArray(ctx, ch)
	stats, err := c.app.Statistics(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.lun.commands, err)
		return
	}
	targets := map[string]*engine.Counters{}
	for _, l := range stats.LUNs {
		c.lun.collect(ch, l.Counters, l.Target, l.Group, strconv.Itoa(l.LUN), l.Device)
		if targets[l.Target] == nil {
			targets[l.Target] = &engine.Counters{}
		}
		add(targets[l.Target], l.Counters)
	}
	for name, n := range targets {
		c.target.collect(ch, *n, name)
	}
	sessions, err := c.app.Sessions(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.sessions, err)
		return
	}
	count := map[string]int{}
	for name := range targets {
		count[name] = 0
	}
	for _, s := range sessions {
		count[s.Target]++
		c.session.collect(ch, s.Counters, s.Target, s.Group, s.Initiator, s.ID)
	}
	for name, n := range count {
		ch <- prometheus.MustNewConstMetric(c.sessions, prometheus.GaugeValue, float64(n), name)
	}
}

func (c *collector) collectAlerts(ch chan<- prometheus.Metric) {
	count := map[alert.Severity]int{}
	for _, a := range c.alerts.Active() {
		count[a.Severity]++
	}
	for _, s := range alert.Severities() {
		ch <- prometheus.MustNewConstMetric(c.active, prometheus.GaugeValue, float64(count[s]), string(s))
	}
}

func (c *collector) collectArray(ctx context.Context, ch chan<- prometheus.Metric) {
	doc, rev, err := c.app.Document(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.info, err)
		return
	}
	st, err := c.app.Status(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.up, err)
		return
	}
	ok := 0.0
	if st.State != appliance.StateDegraded {
		ok = 1
	}
	ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1, doc.Name, c.version, st.Engine)
	ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, ok)
	ch <- prometheus.MustNewConstMetric(c.revision, prometheus.GaugeValue, float64(rev.Number))
	for _, d := range doc.Devices {
		ch <- prometheus.MustNewConstMetric(c.devices, prometheus.GaugeValue, float64(d.Size), d.Name, string(d.Handler))
	}
}

func (f family) collect(ch chan<- prometheus.Metric, n engine.Counters, labels ...string) {
	counter := func(d *prometheus.Desc, v uint64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), append(labels[:len(labels):len(labels)], more...)...)
	}
	counter(f.commands, n.Reads, "read")
	counter(f.commands, n.Writes, "write")
	counter(f.commands, n.Other, "other")
	counter(f.bytes, n.ReadBytes, "read")
	counter(f.bytes, n.WriteBytes, "write")
	counter(f.errors, n.Errors)
	histogram := func(h engine.Histogram, op string) {
		count, buckets := cumulated(h)
		ch <- prometheus.MustNewConstHistogram(f.latency, count, h.Sum.Seconds(), buckets, append(labels[:len(labels):len(labels)], op)...)
	}
	histogram(n.ReadLatency, "read")
	histogram(n.WriteLatency, "write")
}

// cumulated is a histogram as Prometheus has it: each bucket holds those
// before it too.
func cumulated(h engine.Histogram) (count uint64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(h.Buckets))
	for i, bound := range engine.LatencyBounds() {
		count += h.Buckets[i]
		buckets[bound.Seconds()] = count
	}
	return count + h.Buckets[len(h.Buckets)-1], buckets
}

// add adds counters.
func add(to *engine.Counters, n engine.Counters) {
	to.Reads += n.Reads
	to.Writes += n.Writes
	to.Other += n.Other
	to.ReadBytes += n.ReadBytes
	to.WriteBytes += n.WriteBytes
	to.Errors += n.Errors
	for _, p := range []struct {
		to *engine.Histogram
		n  engine.Histogram
	}{{&to.ReadLatency, n.ReadLatency}, {&to.WriteLatency, n.WriteLatency}} {
		p.to.Sum += p.n.Sum
		for i, v := range p.n.Buckets {
			p.to.Buckets[i] += v
		}
	}
}
