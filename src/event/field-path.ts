export type FieldPath = readonly string[];
