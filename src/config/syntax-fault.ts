// What the YAML parser says, in the words of somebody who writes pipelines. The three mistakes that templates,
// variables and field names with brackets lead to get a hint, because YAML's own message points elsewhere.
import type { YAMLError } from 'yaml';
import type { Fault } from '../event/fault.js';
import { MAX_DEPTH } from './yaml-value.js';

/** The fault of one parser error; `sourceLine` is the line that it stands on. */
export function syntaxFault(error: YAMLError, sourceLine: string): Fault {
  const code = 'CONFIG_SYNTAX';
  if (error.code === 'TAB_AS_INDENT') {
    return { code, message: 'a tab in the indentation', hint: 'indent with spaces' };
  }
  if (error.code === 'MULTIPLE_DOCS') {
    const hint = 'one file is one pipeline: put the second one into a file of its own';
    return { code, message: 'a second YAML document begins here', hint };
  }
  if (error.code === 'RESOURCE_EXHAUSTION') return { code, message: `nested more than ${MAX_DEPTH} deep` };
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  const hint = hintFor(sourceLine);
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function hintFor(sourceLine: string): string | undefined {
  if (/[:,[{]\s*\{\{/.test(sourceLine)) return 'a value that begins with `{{` must be quoted';
  if (sourceLine.includes('${')) return "inside { } and [ ] quote a value with a variable: '${NAME}'";
  const key = /\w+\[["'][^"']*["']\]/.exec(sourceLine)?.[0];
  return key === undefined ? undefined : `inside { } quote the whole key: '${key}'`;
}
