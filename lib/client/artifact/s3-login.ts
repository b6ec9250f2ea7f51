import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, refuse } from './failure.js';
import type { S3Place } from './s3.js';

const PROFILE_MAX = 1024 * 1024;

/**
 * What to sign a request with, as Amazon's programs find it: what the block says, else the variables AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY, else a profile in the file of shared credentials. `env` holds what the agent's configuration gives
 * to artifacts (`set_environment_variables`). Null: ask as anybody.
 */
export async function s3Login(
  options: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
): Promise<S3Place['credentials']> {
  const { aws_access_key_id: id, aws_access_key_secret: secret, aws_access_token: token, aws_profile: asked } = options;
  if (id && secret) return { id, secret, token: token || null };
  if (id || secret)
    throw refuse(
      `aws_access_key_${id ? 'id needs an aws_access_key_secret' : 'secret needs an aws_access_key_id'} beside it`,
    );
  const profile = asked || env['AWS_PROFILE'] || 'default';
  if (!asked && env['AWS_ACCESS_KEY_ID'] && env['AWS_SECRET_ACCESS_KEY']) {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env;
    return { id: AWS_ACCESS_KEY_ID, secret: AWS_SECRET_ACCESS_KEY, token: AWS_SESSION_TOKEN || null };
  }
  const { AWS_SHARED_CREDENTIALS_FILE: file, HOME: home } = env;
  const path = file || (home && join(home, '.aws/credentials'));
  if (!path) {
    if (!asked) return null;
    throw refuse(
      'aws_profile needs a file of credentials: name AWS_SHARED_CREDENTIALS_FILE in set_environment_variables (client, artifact) of the agent',
    );
  }
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && !asked && !file) return '';
    throw refuse(`the file of credentials cannot be read: ${reasonOf(error)}`);
  });
  const found = profileIn(text.slice(0, PROFILE_MAX), profile);
  if (!found && (asked || env['AWS_PROFILE'])) throw refuse(`${path} has no profile ${JSON.stringify(profile)}`);
  return found;
}

/** A section `[name]` with `aws_access_key_id = …` and the like. */
function profileIn(text: string, profile: string): S3Place['credentials'] {
  const values: Record<string, string> = {};
  let isOurs = false;
  for (const line of text.split(/\r?\n/)) {
    const [, section] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? [];
    if (section !== undefined) isOurs = section === profile;
    const [, name = '', value = ''] = /^\s*([a-z_]+)\s*=\s*(.*?)\s*$/i.exec(line) ?? [];
    if (isOurs && name !== '') values[name.toLowerCase()] = value;
  }
  const { aws_access_key_id: id, aws_secret_access_key: secret, aws_session_token: token } = values;
  return id && secret ? { id, secret, token: token || null } : null;
}
