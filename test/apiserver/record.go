package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"sync"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
)

// record is what a test holds Headgate against: the ledger and the witness. Both stand below batching and truncation,
// directly around the backend and around its file: an event or a line is in them exactly when it was accepted there.
type record struct {
	mu      sync.Mutex
	ledger  *os.File
	witness *os.File
	faults  error
}

func openRecord(ledger, witness string) (*record, error) {
	r := &record{}
	for path, file := range map[string]**os.File{ledger: &r.ledger, witness: &r.witness} {
		if path == "" {
			continue
		}
		var err error
		if *file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fault is what kept the record from being written; a test must not trust it then.
func (r *record) fault() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults
}

func (r *record) append(file *os.File, data []byte) {
	if _, err := file.Write(data); err != nil {
		r.faults = errors.Join(r.faults, err)
	}
}

// accepting writes what a backend accepts to the ledger.
func (r *record) accepting(name string, backend audit.Backend) audit.Backend {
	if r.ledger == nil {
		return backend
	}
	return accepting{Backend: backend, name: name, record: r}
}

type accepting struct {
	audit.Backend
	name   string
	record *record
}

func (a accepting) ProcessEvents(events ...*auditinternal.Event) bool {
	isAccepted := a.Backend.ProcessEvents(events...)
	if !isAccepted {
		return false
	}
	a.record.mu.Lock()
	defer a.record.mu.Unlock()
	for _, event := range events {
		line, err := json.Marshal(map[string]string{
			"backend": a.name, "auditID": string(event.AuditID), "stage": string(event.Stage),
		})
		a.record.faults = errors.Join(a.record.faults, err)
		a.record.append(a.record.ledger, append(line, '\n'))
	}
	return true
}

// witnessing copies what is written to the log, in the same order.
func (r *record) witnessing(log io.Writer) io.Writer {
	if r.witness == nil {
		return log
	}
	return witnessing{log: log, record: r}
}

type witnessing struct {
	log    io.Writer
	record *record
}

func (w witnessing) Write(line []byte) (int, error) {
	w.record.mu.Lock()
	defer w.record.mu.Unlock()
	n, err := w.log.Write(line)
	w.record.append(w.record.witness, line[:n])
	return n, err
}
