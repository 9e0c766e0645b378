package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	lumberjack "gopkg.in/natefinch/lumberjack.v2"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/audit/buffered"
	pluginlog "k8s.io/apiserver/plugin/pkg/audit/log"
	"k8s.io/apiserver/plugin/pkg/audit/truncate"
	pluginwebhook "k8s.io/apiserver/plugin/pkg/audit/webhook"
)

// backendOptions are the audit options of kube-apiserver 1.36 (k8s.io/apiserver/pkg/server/options/audit.go). That
// package itself would do as well, but it brings the whole server, and hides the writer of the log.
type backendOptions struct {
	logPath    string
	maxSize    int
	maxBackups int
	maxAge     int
	compress   bool
	format     string
	logMode    modeOptions

	megabyte int

	webhookConfig  string
	initialBackoff time.Duration
	webhookMode    modeOptions
}

// modeOptions say how a backend is wrapped: mode batch, blocking or blocking-strict, and truncation around that.
type modeOptions struct {
	mode        string
	batch       buffered.BatchConfig
	isTruncated bool
	truncate    truncate.Config
}

func defaultBackendOptions() *backendOptions {
	truncated := truncate.Config{MaxBatchSize: 10 << 20, MaxEventSize: 100 << 10}
	return &backendOptions{
		maxSize: 100, maxBackups: 100, maxAge: 366, format: pluginlog.FormatJson,
		logMode: modeOptions{
			mode:     "blocking",
			batch:    buffered.BatchConfig{BufferSize: 10000, MaxBatchSize: 1},
			truncate: truncated,
		},
		megabyte:       megabyte,
		initialBackoff: pluginwebhook.DefaultInitialBackoffDelay,
		webhookMode: modeOptions{
			mode: "batch",
			batch: buffered.BatchConfig{
				BufferSize: 10000, MaxBatchSize: 400, MaxBatchWait: 30 * time.Second,
				ThrottleEnable: true, ThrottleQPS: 10, ThrottleBurst: 15, AsyncDelegate: true,
			},
			truncate: truncated,
		},
	}
}

func (o *backendOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.logPath, "audit-log-path", "", "Write the events to this file; '-' is standard error here.")
	flags.IntVar(&o.maxSize, "audit-log-maxsize", o.maxSize, "Megabytes after which the log is rotated; 0: never.")
	flags.IntVar(&o.maxBackups, "audit-log-maxbackup", o.maxBackups, "How many backups are kept; 0: all.")
	flags.IntVar(&o.maxAge, "audit-log-maxage", o.maxAge, "Days after which a backup is deleted; 0: never.")
	flags.BoolVar(&o.compress, "audit-log-compress", false, "Compress backups with gzip.")
	flags.StringVar(&o.format, "audit-log-format", o.format, "json or legacy.")
	o.logMode.addFlags(flags, pluginlog.PluginName)
	flags.IntVar(&o.megabyte, "megabyte", o.megabyte, "How many bytes lumberjack takes for a megabyte, so that a short test rotates often. "+
		"Backups are named by the millisecond: a second rotation in one overwrites the first one's backup.")
	flags.StringVar(&o.webhookConfig, "audit-webhook-config-file", "", "Send the events to the webhook of this kubeconfig file.")
	flags.DurationVar(&o.initialBackoff, "audit-webhook-initial-backoff", o.initialBackoff, "How long to wait before the first retry of a failed request.")
	o.webhookMode.addFlags(flags, pluginwebhook.PluginName)
}

func (m *modeOptions) addFlags(flags *pflag.FlagSet, plugin string) {
	name := func(rest string) string { return fmt.Sprintf("audit-%s-%s", plugin, rest) }
	flags.StringVar(&m.mode, name("mode"), m.mode, "batch, blocking or blocking-strict.")
	flags.IntVar(&m.batch.BufferSize, name("batch-buffer-size"), m.batch.BufferSize, "Events that wait to be batched; more are dropped.")
	flags.IntVar(&m.batch.MaxBatchSize, name("batch-max-size"), m.batch.MaxBatchSize, "Events in a batch, at most.")
	flags.DurationVar(&m.batch.MaxBatchWait, name("batch-max-wait"), m.batch.MaxBatchWait, "How long a batch waits to be full.")
	flags.BoolVar(&m.batch.ThrottleEnable, name("batch-throttle-enable"), m.batch.ThrottleEnable, "Whether batches are throttled.")
	flags.Float32Var(&m.batch.ThrottleQPS, name("batch-throttle-qps"), m.batch.ThrottleQPS, "Batches a second, on average.")
	flags.IntVar(&m.batch.ThrottleBurst, name("batch-throttle-burst"), m.batch.ThrottleBurst, "Batches at the same moment, at most.")
	flags.BoolVar(&m.isTruncated, name("truncate-enabled"), false, "Whether large events and batches are truncated.")
	flags.Int64Var(&m.truncate.MaxBatchSize, name("truncate-max-batch-size"), m.truncate.MaxBatchSize, "Bytes of a batch before it is split.")
	flags.Int64Var(&m.truncate.MaxEventSize, name("truncate-max-event-size"), m.truncate.MaxEventSize, "Bytes of an event before its bodies are removed.")
}

// build makes the backends that the flags ask for, joined as in an apiserver that has both.
func (o *backendOptions) build(record *record) (audit.Backend, error) {
	var joined []audit.Backend
	if o.logPath != "" {
		backend, err := o.buildLog(record)
		if err != nil {
			return nil, err
		}
		joined = append(joined, backend)
	}
	if o.webhookConfig != "" {
		backend, err := pluginwebhook.NewBackend(o.webhookConfig, auditv1.SchemeGroupVersion,
			webhook.DefaultRetryBackoffWithInitialDelay(o.initialBackoff), nil)
		if err != nil {
			return nil, fmt.Errorf("initializing audit webhook: %w", err)
		}
		wrapped, err := o.webhookMode.wrap(record.accepting(pluginwebhook.PluginName, backend))
		if err != nil {
			return nil, err
		}
		joined = append(joined, wrapped)
	}
	if len(joined) == 0 {
		return nil, errors.New("neither --audit-log-path nor --audit-webhook-config-file is given")
	}
	return audit.Union(joined...), nil
}

func (o *backendOptions) buildLog(record *record) (audit.Backend, error) {
	if o.format != pluginlog.FormatJson && o.format != pluginlog.FormatLegacy {
		return nil, fmt.Errorf("--audit-log-format %q is neither json nor legacy", o.format)
	}
	if o.maxSize < 0 || o.maxBackups < 0 || o.maxAge < 0 || o.megabyte < 1 {
		return nil, errors.New("--audit-log-max… must not be negative, and --megabyte at least 1")
	}
	writer, err := o.openLog()
	if err != nil {
		return nil, err
	}
	backend := pluginlog.NewBackend(record.witnessing(writer), o.format, auditv1.SchemeGroupVersion)
	return o.logMode.wrap(record.accepting(pluginlog.PluginName, backend))
}

func (o *backendOptions) openLog() (io.Writer, error) {
	if o.logPath == "-" {
		// Standard output has the counters.
		return os.Stderr, nil
	}
	if err := os.MkdirAll(filepath.Dir(o.logPath), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(o.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil || o.maxSize == 0 {
		return file, err
	}
	megabyte = o.megabyte
	return &lumberjack.Logger{
		Filename: o.logPath, MaxSize: o.maxSize, MaxBackups: o.maxBackups, MaxAge: o.maxAge, Compress: o.compress,
	}, file.Close()
}

func (m *modeOptions) wrap(backend audit.Backend) (audit.Backend, error) {
	switch m.mode {
	case "batch":
		backend = buffered.NewBackend(backend, m.batch)
	case "blocking":
		backend = ignoringErrors{backend}
	case "blocking-strict":
	default:
		return nil, fmt.Errorf("mode %q is none of batch, blocking and blocking-strict", m.mode)
	}
	if m.isTruncated {
		backend = truncate.NewBackend(backend, m.truncate, auditv1.SchemeGroupVersion)
	}
	return backend, nil
}

// ignoringErrors is what tells the mode blocking from blocking-strict.
type ignoringErrors struct{ audit.Backend }

func (b ignoringErrors) ProcessEvents(events ...*auditinternal.Event) bool {
	b.Backend.ProcessEvents(events...)
	return true
}
