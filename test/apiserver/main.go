// Command apiserver writes audit events as kube-apiserver does, without a cluster: it replays or generates events and
// hands them to the log backend and the webhook client of k8s.io/apiserver, wired as kube-apiserver wires them.
// The flags `--audit-*` are kube-apiserver's own, with its defaults; see -help for the rest.
//
// What it adds stands apart from the backends and changes nothing in them: a witness (what the log backend wrote,
// never rotated), a ledger (what each backend accepted), and at the end the apiserver's own audit counters on
// standard output. Nothing of it is part of Headgate; its tests build and run it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var (
		backends = defaultBackendOptions()
		events   = defaultEventOptions()
		rate     float64
		workers  int
		untilEOF bool
		ledger   string
		witness  string
	)
	flags := pflag.NewFlagSet("apiserver", pflag.ContinueOnError)
	flags.SortFlags = false
	backends.addFlags(flags)
	events.addFlags(flags)
	flags.Float64Var(&rate, "rate", 0, "Requests a second, never closer together than that; 0 is as fast as the backends take them.")
	flags.IntVar(&workers, "workers", 1, "How many requests are audited at the same time. With one, the order of the events is their order in the log.")
	flags.BoolVar(&untilEOF, "until-eof", false, "Go on until standard input ends, so that this process never outlives the test that holds the other end.")
	flags.StringVar(&ledger, "ledger", "", `Append a line {"backend","auditID","stage"} to this file for each event that a backend accepted.`)
	flags.StringVar(&witness, "witness", "", "Append each line that the log backend wrote to this file as well, which is never rotated.")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if workers < 1 || rate < 0 {
		return errors.New("--workers must be at least 1, --rate at least 0")
	}
	if !untilEOF && events.isEndless() {
		return errors.New("nothing would end this run: give --count, --events or --until-eof")
	}

	source, err := events.open()
	if err != nil {
		return err
	}
	record, err := openRecord(ledger, witness)
	if err != nil {
		return err
	}
	backend, err := backends.build(record)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	if err := backend.Run(stop); err != nil {
		return err
	}
	eof := make(chan struct{})
	if untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			close(eof)
		}()
	}
	offered, fault := offer(source, backend, workers, rate, eof)
	close(stop)
	backend.Shutdown()
	if fault = errors.Join(fault, record.fault()); fault != nil {
		return fault
	}
	counters, err := auditCounters()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"events": offered, "counters": counters})
}

// offer hands requests to the workers until the source or standard input ends; it returns how many events they were.
func offer(source requestSource, backend audit.Backend, workers int, rate float64, eof <-chan struct{}) (int, error) {
	requests := make(chan []*auditinternal.Event)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for request := range requests {
				auditRequest(backend, request)
			}
		})
	}
	defer working.Wait()
	defer close(requests)
	for offered := 0; ; {
		select {
		case <-eof:
			return offered, nil
		default:
		}
		request, err := source.next()
		if err != nil || request == nil {
			return offered, err
		}
		requests <- request
		offered += len(request)
		if rate > 0 {
			// No catching up after a stall: bursts would rotate twice in a millisecond, and lumberjack would then
			// rename one backup over the other.
			time.Sleep(time.Duration(float64(time.Second) / rate))
		}
	}
}

// auditRequest processes the stages of one request as the filter WithAudit of k8s.io/apiserver does: a request whose
// RequestReceived is refused (mode blocking-strict) fails, and has no further stages.
func auditRequest(backend audit.Backend, request []*auditinternal.Event) {
	ctx := context.Background()
	for _, event := range request {
		audit.ObserveEvent(ctx)
		if !backend.ProcessEvents(event) && event.Stage == auditinternal.StageRequestReceived {
			audit.ApiserverAuditDroppedCounter.WithContext(ctx).Inc()
			return
		}
	}
}
