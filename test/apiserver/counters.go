package main

import (
	"strings"

	"k8s.io/component-base/metrics/legacyregistry"
)

// auditCounters are the counters `apiserver_audit_*` as the apiserver's /metrics would show them: a number, or for one
// with a label (error_total: the plugin) numbers by its value; none of those that were never counted.
func auditCounters() (map[string]any, error) {
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return nil, err
	}
	counters := map[string]any{}
	for _, family := range families {
		name := family.GetName()
		if !strings.HasPrefix(name, "apiserver_audit_") {
			continue
		}
		byLabel := map[string]float64{}
		for _, metric := range family.GetMetric() {
			if labels := metric.GetLabel(); len(labels) > 0 {
				byLabel[labels[0].GetValue()] = metric.GetCounter().GetValue()
				counters[name] = byLabel
			} else {
				counters[name] = metric.GetCounter().GetValue()
			}
		}
	}
	return counters, nil
}
