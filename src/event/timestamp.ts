// Reads RFC 3339 timestamps out of bytes, as kube-apiserver writes them: `2026-11-21T09:31:11.543895Z`, with 0 to 9
// digits of a second's fraction, and `Z` or a numeric offset. Makes no string and no Date in the common case.

const DAYS_IN_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const COLON = 0x3a;
const DASH = 0x2d;
const ZERO = 0x30;
/** What two digits are not. Not NaN, so that all is done in integers. */
const NO_DIGITS = 1e6;

// The last day that was asked for: neighbouring events are of one day.
let cachedDay = -1;
let cachedDayMs = 0;

/**
 * Microseconds since the epoch of the timestamp that is `data[start..end)`, without quotes; what is below a
 * microsecond is cut off. NaN where it is no timestamp, or a time before 1970 (Go's zero time is the year 1).
 */
export function parseTimestamp(data: Uint8Array, start: number, end: number): number {
  if (end - start < 20 || data[start + 10] !== 0x54) return NaN;
  if (data[start + 4] !== DASH || data[start + 7] !== DASH) return NaN;
  if (data[start + 13] !== COLON || data[start + 16] !== COLON) return NaN;
  const year = twoDigits(data, start) * 100 + twoDigits(data, start + 2);
  const dayMs = startOfDay(year, twoDigits(data, start + 5), twoDigits(data, start + 8));
  const hour = twoDigits(data, start + 11);
  const minute = twoDigits(data, start + 14);
  const second = twoDigits(data, start + 17);
  // 60 is a leap second.
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return NaN;

  let p = start + 19;
  let fractionUs = 0;
  if (data[p] === 0x2e) {
    const firstDigit = ++p;
    for (; p < end && isDigit(data[p] as number); p++)
      if (p < firstDigit + 6) fractionUs = fractionUs * 10 + (data[p] as number) - ZERO;
    const digits = p - firstDigit;
    if (digits === 0 || digits > 9) return NaN;
    for (let i = digits; i < 6; i++) fractionUs *= 10;
  }
  const offset = offsetMinutes(data, p, end);
  const us = dayMs * 1000 + ((hour * 60 + minute - offset) * 60 + second) * 1e6 + fractionUs;
  return us >= 0 ? us : NaN;
}

/** Milliseconds since the epoch of a timestamp in text, or undefined. */
export function timestampMs(text: string): number | undefined {
  const us = parseTimestamp(Buffer.from(text), 0, Buffer.byteLength(text));
  return Number.isNaN(us) ? undefined : Math.floor(us / 1000);
}

function startOfDay(year: number, month: number, day: number): number {
  const key = year * 10_000 + month * 100 + day;
  if (key !== cachedDay) {
    if (!(month >= 1 && month <= 12 && day >= 1 && day <= (DAYS_IN_MONTH[month - 1] ?? 0))) return NaN;
    const ms = Date.UTC(year, month - 1, day);
    // February 29th of a common year becomes March 1st. Date.UTC takes the years 0 to 99 for 1900 to 1999.
    if (year < 1969 || year > 9999 || new Date(ms).getUTCDate() !== day) return NaN;
    cachedDay = key;
    cachedDayMs = ms;
  }
  return cachedDayMs;
}

// Minutes east of UTC; what it says must reach to `end`.
function offsetMinutes(data: Uint8Array, at: number, end: number): number {
  const sign = data[at];
  if (sign === 0x5a) return at + 1 === end ? 0 : NaN;
  if ((sign !== 0x2b && sign !== DASH) || at + 6 !== end || data[at + 3] !== COLON) return NaN;
  const hours = twoDigits(data, at + 1);
  const minutes = twoDigits(data, at + 4);
  if (!(hours <= 23 && minutes <= 59)) return NaN;
  return (hours * 60 + minutes) * (sign === DASH ? -1 : 1);
}

function twoDigits(data: Uint8Array, at: number): number {
  const tens = data[at] as number;
  const ones = data[at + 1] as number;
  return isDigit(tens) && isDigit(ones) ? (tens - ZERO) * 10 + ones - ZERO : NO_DIGITS;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}
