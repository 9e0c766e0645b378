// The few things about a YAML node that the library leaves to its users: where its text is, what its key is called.
import { isScalar } from 'yaml';
import type { Node, Pair, Scalar } from 'yaml';

/** The offset of a node's first character. */
export function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

/** A node as written, without the comments around it. */
export function sourceOf(node: Node, text: string): string {
  return node.range ? text.slice(node.range[0], node.range[1]) : '';
}

/** A key as text, `true` and `5` too; undefined for a list, a mapping or an alias. */
export function keyText(pair: Pair, text: string): string | undefined {
  if (!isScalar(pair.key)) return undefined;
  return typeof pair.key.value === 'string' ? pair.key.value : sourceOf(pair.key, text);
}

/**
 * Where in the file the character at `offset` of a scalar's value stands; the scalar's start where escapes or
 * folded lines before it hide that.
 */
export function offsetInFile(scalar: Scalar, text: string, offset: number): number {
  if (typeof scalar.value !== 'string') return startOf(scalar);
  const quote = scalar.type === 'QUOTE_DOUBLE' || scalar.type === 'QUOTE_SINGLE' ? 1 : 0;
  const source = sourceOf(scalar, text).slice(quote);
  return startOf(scalar) + (source.startsWith(scalar.value.slice(0, offset)) ? quote + offset : 0);
}
