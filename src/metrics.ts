// The counters of one pipeline. They are plain numbers, raised once per batch and never per event, and they
// reconcile: lines read = events + joined + blank + quarantined lines + those of the server's own log, and
// events = delivered + dropped + quarantined + in flight.

export interface PipelineMetrics {
  /** Bytes taken from the source, decompressed. */
  bytesRead: number;
  /** Lines taken from the source; a torn line and an EventList count once per part. */
  linesRead: number;
  /** Lines that were only white space, or a list without items. */
  linesBlank: number;
  /** Lines that became a part of an event begun by an earlier line. */
  linesJoined: number;
  /** Lines of the API server's own log, between those of the audit log in a container's log. */
  linesNotAudit: number;
  /** Lines, or parts of lines, that hold no event and went to the quarantine. */
  linesQuarantined: number;
  /** Events decoded. */
  events: number;
  /** Events that every sink they were routed to holds durably. */
  eventsDelivered: number;
  /** Events left out by configuration: `drop`, `keep`, `otherwise: drop`. */
  eventsDropped: number;
  /** Events that a processor or a sink rejected and the quarantine holds durably. */
  eventsQuarantined: number;
  /** Places where input was lost before Headgate could read it. */
  gaps: number;
  /** Rotations of a followed file that were seen. */
  rotations: number;
  /** Followed paths at which nothing has been for some seconds. */
  pathsMissing: number;
  /** Bytes on disk that only Headgate keeps: of unread backups that are held open or retained. */
  retainedBytes: number;
  /** Output segments closed. */
  segmentsClosed: number;
  /** Outputs that someone else changed. */
  outputsTouched: number;
  /** Events that went to an overflow file, because their tags were too many. */
  eventsOverflowed: number;
  /** Retries of failed operations on outputs and state. */
  retries: number;
  /** Sinks, the quarantine and the state that wait for a fault to be gone, now. */
  componentsWaiting: number;
  /** How long components waited, milliseconds, of waits that are over. */
  waitedMs: number;
  /** Position records written durably. */
  commits: number;
  /** Bytes that exist in the followed files and are not yet committed. */
  lagBytes: number;
  /** Where the source is a webhook. */
  webhook?: WebhookMetrics;
}

/** What a webhook source counts besides. */
export interface WebhookMetrics {
  /** Requests answered, by status code. */
  requests: Map<number, number>;
  /** Batches that were stored already when they came. */
  duplicates: number;
  /** Requests that were refused because the spool, or memory, had no room. */
  noRoom: number;
  /** Bytes of the spool on disk. */
  spoolBytes: number;
  /** Connections that are open, now. */
  connections: number;
  /** Certificates, CAs or tokens that changed and are of no use: those before stay in use. */
  reloadFailures: number;
}

export function createWebhookMetrics(): WebhookMetrics {
  return { requests: new Map(), duplicates: 0, noRoom: 0, spoolBytes: 0, connections: 0, reloadFailures: 0 };
}

export function createMetrics(): PipelineMetrics {
  return {
    bytesRead: 0,
    linesRead: 0,
    linesBlank: 0,
    linesJoined: 0,
    linesNotAudit: 0,
    linesQuarantined: 0,
    events: 0,
    eventsDelivered: 0,
    eventsDropped: 0,
    eventsQuarantined: 0,
    gaps: 0,
    rotations: 0,
    pathsMissing: 0,
    retainedBytes: 0,
    segmentsClosed: 0,
    outputsTouched: 0,
    eventsOverflowed: 0,
    retries: 0,
    componentsWaiting: 0,
    waitedMs: 0,
    commits: 0,
    lagBytes: 0,
  };
}

/** Events decoded and not yet durable, dropped or quarantined. */
export function eventsInFlight(m: PipelineMetrics): number {
  return m.events - m.eventsDelivered - m.eventsDropped - m.eventsQuarantined;
}

/** The metrics under their public names, as RUN_SUMMARY prints them and the endpoint serves them. */
export function namedMetrics(m: PipelineMetrics): Record<string, number> {
  return {
    headgate_lines_read_total: m.linesRead,
    headgate_lines_blank_total: m.linesBlank,
    headgate_lines_joined_total: m.linesJoined,
    headgate_lines_not_audit_total: m.linesNotAudit,
    headgate_lines_quarantined_total: m.linesQuarantined,
    headgate_bytes_read_total: m.bytesRead,
    headgate_events_read_total: m.events,
    headgate_events_delivered_total: m.eventsDelivered,
    headgate_events_dropped_total: m.eventsDropped,
    headgate_events_quarantined_total: m.eventsQuarantined,
    headgate_events_in_flight: eventsInFlight(m),
    headgate_lag_bytes: m.lagBytes,
    headgate_gaps_total: m.gaps,
    headgate_rotations_total: m.rotations,
    headgate_source_paths_missing: m.pathsMissing,
    headgate_retained_bytes: m.retainedBytes,
    headgate_segments_closed_total: m.segmentsClosed,
    headgate_outputs_touched_total: m.outputsTouched,
    headgate_events_overflowed_total: m.eventsOverflowed,
    headgate_retries_total: m.retries,
    headgate_components_waiting: m.componentsWaiting,
    headgate_waiting_seconds_total: m.waitedMs / 1000,
    headgate_commits_total: m.commits,
    ...(m.webhook && namedWebhookMetrics(m.webhook)),
  };
}

function namedWebhookMetrics(m: WebhookMetrics): Record<string, number> {
  const requests = [...m.requests].sort(([a], [b]) => a - b);
  return {
    ...Object.fromEntries(
      requests.map(([code, n]) => [`headgate_webhook_requests_total{code="${String(code)}"}`, n]),
    ),
    headgate_webhook_duplicates_total: m.duplicates,
    headgate_webhook_no_room_total: m.noRoom,
    headgate_webhook_spool_bytes: m.spoolBytes,
    headgate_webhook_connections: m.connections,
    headgate_webhook_reload_failures_total: m.reloadFailures,
  };
}
