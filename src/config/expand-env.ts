// `${NAME}` in values of a pipeline file stands for an environment variable; `$${` is a literal `${`. This knows
// nothing of YAML, and it never puts a variable's value into a fault: it may be a secret.
import type { Fault } from '../event/fault.js';

/** `process.env`, or what stands for it. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Expansion {
  text: string;
  /** The variables that were put in. */
  names: string[];
  faults: Fault[];
}

/** Where there are faults, `text` is not to be used. */
export function expandEnv(text: string, env: Environment): Expansion {
  const names: string[] = [];
  const faults: Fault[] = [];
  const expanded = text.replace(
    /\$\$\{|\$\{([^}]*)(\}?)/g,
    (match: string, name: string | undefined, end: string | undefined, offset: number) => {
      if (name === undefined) return '${';
      if (end === '' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        faults.push({
          code: 'CONFIG_ENV',
          message: '`${` does not begin the name of an environment variable, such as `${AUDIT_DIR}`',
          hint: 'write `$${` for a literal `${`',
          offset,
        });
        return match;
      }
      const value = Object.hasOwn(env, name) ? env[name] : undefined;
      if (value === undefined) {
        faults.push({
          code: 'CONFIG_ENV',
          message: `the environment variable \`${name}\` is not set`,
          hint: `set \`${name}\`, or write \`$\${${name}}\` if the text itself is meant`,
          offset,
        });
        return match;
      }
      names.push(name);
      return value;
    },
  );
  return { text: expanded, names, faults };
}
