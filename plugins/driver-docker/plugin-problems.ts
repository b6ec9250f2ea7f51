import { capProblems } from '../../lib/plugin/sdk/capabilities.js';
import { decodeFields } from '../../lib/plugin/sdk/config-schema.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import { type DockerOptions, PLUGIN_FIELDS } from './config.js';
import { LABEL_FACTS } from './labels.js';

/** What is wrong with the agent's config of plugin "docker". */
export function pluginProblems(config: Record<string, unknown>): ConfigProblem[] {
  const decoded = decodeFields(PLUGIN_FIELDS, config);
  if ('problems' in decoded) return decoded.problems;
  return [...endpointProblems(decoded.config), ...engineProblems(decoded.config)];
}

/** What is wrong in the keys that the driver has for every engine. */
export function engineProblems(options: Pick<DockerOptions, 'allow_caps' | 'extra_labels'>): ConfigProblem[] {
  const labels = options.extra_labels.flatMap((word, i) =>
    word.includes('*') || LABEL_FACTS.some((fact) => fact === word)
      ? []
      : [{ path: `extra_labels[${i}]`, message: `must be one of ${LABEL_FACTS.join(', ')}, not "${word}"` }],
  );
  return [...capProblems({ allow_caps: options.allow_caps }), ...labels];
}

function endpointProblems({ endpoint, tls }: DockerOptions): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const isKnown = /^(unix:\/\/)?\/./.test(endpoint) || /^(tcp|https?):\/\/[^/]/.test(endpoint);
  if (endpoint.startsWith('npipe:')) problems.push({ path: 'endpoint', message: 'names a pipe of Windows' });
  else if (endpoint !== '' && !isKnown) {
    const message = `must be such as "unix:///var/run/docker.sock" or "tcp://10.0.0.5:2376", not "${endpoint}"`;
    problems.push({ path: 'endpoint', message });
  }
  if (tls && (tls.cert === '') !== (tls.key === '')) {
    const absent = tls.cert === '' ? 'cert' : 'key';
    problems.push({ path: `tls.${absent}`, message: 'is missing: a certificate and its key go together' });
  }
  return problems;
}
