// The option kinds that a component's declaration is written with. Each is a JSON Schema (so editors understand
// it) and a static type; `format` names the check that JSON Schema can't express, made by `validate.ts`.
// Sizes, durations and templates stay strings here; components turn them into numbers with `units.ts`.
import { Type } from '@sinclair/typebox';
import type { SchemaOptions, TSchema, TString, TUnsafe } from '@sinclair/typebox';

export { Type };
export type { Static, TObject, TSchema } from '@sinclair/typebox';

/** What every option must have: a description (Markdown, one or two sentences). */
export interface OptionText<T = string> extends SchemaOptions {
  description: string;
  default?: T;
  examples?: T[];
}

/** The text of a size or a duration; less than `formatMinimum` is a fault. */
export interface UnitText extends OptionText {
  formatMinimum?: string;
}

/** A size with its unit: `64MiB`. Read it with `parseBytes`. */
export const bytes = (text: UnitText): TString => Type.String({ ...text, format: 'bytes' });
/** A duration with its unit: `30s`. Read it with `parseDuration`. */
export const duration = (text: UnitText): TString => Type.String({ ...text, format: 'duration' });
/** The name of a field of an event: `objectRef.namespace`. Read it with `fieldOf`. */
export const field = (text: OptionText): TString => Type.String({ ...text, format: 'field' });
/** An absolute path of a file. */
export const file = (text: OptionText): TString => Type.String({ ...text, format: 'file' });
/** The address of a server: `http` or `https`, without a user and a password. */
export const url = (text: OptionText): TString => Type.String({ ...text, format: 'url' });
/** The name of an index in which `{{ }}` become values and strftime letters event time. */
export const indexTemplate = (text: OptionText): TString =>
  Type.String({ ...text, format: 'index-template' });
/** `{{ field ?? "text" }}` in ordinary text. */
export const template = (text: OptionText): TString => Type.String({ ...text, format: 'template' });
/** A relative path in which each `{{ }}` becomes part of one path segment and strftime letters stand for event time. */
export const pathTemplate = (text: OptionText): TString => Type.String({ ...text, format: 'path-template' });
/** An absolute path, or a glob over such paths. */
export const glob = (text: OptionText): TString => Type.String({ ...text, format: 'glob' });
/** An absolute directory. */
export const directory = (text: OptionText): TString => Type.String({ ...text, format: 'directory' });
/** An IP address with a port: `127.0.0.1:9443`. */
export const address = (text: OptionText): TString => Type.String({ ...text, format: 'address' });
/** A condition; see `event/match.ts`. */
export const when = (text: OptionText<unknown>): TUnsafe<unknown> =>
  Type.Unsafe<unknown>({ ...text, format: 'when' });
/** One of a few words. */
export const oneOf = <const T extends string>(words: readonly T[], text: OptionText<T>): TUnsafe<T> =>
  Type.Unsafe<T>({ ...text, type: 'string', enum: [...words] });
/** A whole number of things. */
export const count = (text: OptionText<number> & { minimum?: number; maximum?: number }) =>
  Type.Integer(text);
export const flag = (text: OptionText<boolean>) => Type.Boolean(text);
export const listOf = <T extends TSchema>(item: T, text: OptionText<unknown[]> & { minItems?: number }) =>
  Type.Array(item, text);
export const optional = <T extends TSchema>(schema: T) => Type.Optional(schema);
