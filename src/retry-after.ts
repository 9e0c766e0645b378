// When a server wants to be asked again, as it says in the header `Retry-After` (RFC 9110 §10.2.3).

/** In milliseconds from now; 0 where it says nothing that can be understood. The value is in seconds, or a date. */
export function retryAfterMs(value: string | string[] | undefined): number {
  if (typeof value !== 'string') return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? ms : 0;
}
