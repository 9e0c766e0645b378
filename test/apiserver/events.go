package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
)

// requestSource gives the events of one request at a time; nil at its end.
type requestSource interface {
	next() ([]*auditinternal.Event, error)
}

type eventOptions struct {
	file      string
	count     int
	generated generator
}

func defaultEventOptions() *eventOptions {
	return &eventOptions{generated: generator{seed: 1, namespaces: 6, users: 12}}
}

func (o *eventOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.file, "events", "", "Replay the events of this file, JSON lines of audit.k8s.io/v1, also gzipped (.gz). Without it events are generated.")
	flags.IntVar(&o.count, "count", 0, "Stop after so many requests (with --events: lines); 0: no limit.")
	flags.Uint64Var(&o.generated.seed, "seed", o.generated.seed, "Of the generated events: all but their times follow from it.")
	flags.IntVar(&o.generated.namespaces, "namespaces", o.generated.namespaces, "How many namespaces the generated events are of.")
	flags.IntVar(&o.generated.users, "users", o.generated.users, "How many users the generated events are of; every fifth has a hostile name.")
	flags.IntVar(&o.generated.bodyBytes, "body-bytes", 0, "The largest requestObject of a generated event that writes; 0: none, level Metadata.")
}

func (o *eventOptions) isEndless() bool { return o.file == "" && o.count == 0 }

func (o *eventOptions) open() (requestSource, error) {
	if o.generated.namespaces < 1 || o.generated.users < 1 || o.generated.bodyBytes < 0 || o.count < 0 {
		return nil, errors.New("--namespaces and --users must be at least 1, --body-bytes and --count at least 0")
	}
	var source requestSource = &o.generated
	if o.file != "" {
		file, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		var content io.Reader = file
		if strings.HasSuffix(o.file, ".gz") {
			if content, err = gzip.NewReader(file); err != nil {
				return nil, err
			}
		}
		source = &replay{name: o.file, lines: bufio.NewReaderSize(content, 1<<20)}
	}
	if o.count > 0 {
		source = &limited{source, o.count}
	}
	return source, nil
}

// replay takes each line for a request of its own, so only one worker keeps the stages of a request in order.
type replay struct {
	name   string
	lines  *bufio.Reader
	number int
}

func (r *replay) next() ([]*auditinternal.Event, error) {
	line, err := r.lines.ReadBytes('\n')
	if len(line) == 0 {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	r.number++
	event := &auditinternal.Event{}
	if err := runtime.DecodeInto(audit.Codecs.UniversalDecoder(), line, event); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", r.name, r.number, err)
	}
	return []*auditinternal.Event{event}, nil
}

type limited struct {
	requestSource
	left int
}

func (l *limited) next() ([]*auditinternal.Event, error) {
	if l.left == 0 {
		return nil, nil
	}
	l.left--
	return l.requestSource.next()
}
