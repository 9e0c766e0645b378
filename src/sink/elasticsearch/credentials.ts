// How requests sign in. A secret is read anew from its file for each request (a request is megabytes, the file is not):
// one that was renewed is used at once, and nothing has to be watched. Secrets are never logged.
import { readFile } from 'node:fs/promises';
import { HaltError } from '../../errors.js';
import type { ElasticsearchOptions } from './options.js';

type Auth = ElasticsearchOptions['auth'];

/** Makes the function that gives the `authorization` header; undefined where there is nothing to sign in with. */
export function compileAuthorization(
  auth: Auth,
  env: NodeJS.ProcessEnv,
  component: string,
): () => Promise<string | undefined> {
  const secret = (
    path: string | undefined,
    variable: string | undefined,
  ): (() => Promise<string>) | undefined => {
    if (path !== undefined) return async () => (await readFile(path, 'utf8')).trim();
    if (variable === undefined) return undefined;
    return async () => {
      const value = env[variable]?.trim();
      if (value) return value;
      throw new HaltError('KEY_UNUSABLE', `the environment variable ${variable} is not set`, { component });
    };
  };
  const apiKey = secret(auth.api_key_file, auth.api_key_env);
  if (apiKey) return async () => `ApiKey ${await apiKey()}`;
  const token = secret(auth.bearer_token_file, auth.bearer_token_env);
  if (token) return async () => `Bearer ${await token()}`;
  const password = secret(auth.password_file, auth.password_env);
  if (!password) return async () => undefined;
  return async () => `Basic ${Buffer.from(`${auth.username ?? ''}:${await password()}`).toString('base64')}`;
}
