import { readFileSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Apm, ApmPlugin, ScalerCall } from '../../lib/plugin/sdk/autoscaler.js';
import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';
import type { Metric, TimeRange } from '../../lib/structs/autoscaling.js';

const KEYS = ['address', 'basic_auth_user', 'basic_auth_password', 'ca_cert', 'skip_verify'];
const HEADER = 'header_';
const ANSWER_MAX_BYTES = 16 * 1024 * 1024;
/** Points of one answer; Prometheus itself refuses more. */
const POINTS_MAX = 11_000;

interface Answer {
  status?: string;
  error?: string;
  data?: { resultType?: string; result?: { values?: [number, string][] }[] };
}

/** Asks a Prometheus (or what speaks its HTTP API) for the figures of a window. */
class PrometheusApm implements Apm {
  readonly name = 'prometheus';
  private readonly address: URL;
  private readonly options: RequestOptions & { ca?: Buffer; rejectUnauthorized?: boolean };

  constructor(config: Record<string, string>) {
    const { address = '', basic_auth_user: user, basic_auth_password: password, ca_cert: ca } = config;
    if (address === '') throw new Error('apm "prometheus" needs an address: config { address = "http://HOST:9090" }');
    this.address = new URL(address);
    const headers = Object.entries(config).flatMap(([key, value]): [string, string][] =>
      key.startsWith(HEADER) ? [[key.slice(HEADER.length), value]] : [],
    );
    this.options = {
      headers: Object.fromEntries(headers),
      ...(user === undefined ? {} : { auth: `${user}:${password ?? ''}` }),
      ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
      ...(config['skip_verify'] === 'true' ? { rejectUnauthorized: false } : {}),
    };
  }

  async query(query: string, range: TimeRange, call: ScalerCall): Promise<Metric[]> {
    const series = await this.queryMultiple(query, range, call);
    if (series.length > 1)
      throw new Error(`the query gives ${series.length} series, and should give one: sum or average them`);
    return series[0] ?? [];
  }

  async queryMultiple(query: string, { fromMs, toMs }: TimeRange, { signal }: ScalerCall): Promise<Metric[][]> {
    const url = new URL(`${this.address.pathname.replace(/\/$/, '')}/api/v1/query_range`, this.address);
    const stepS = Math.max(1, Math.ceil((toMs - fromMs) / 1_000 / POINTS_MAX));
    const given = { query, start: String(fromMs / 1_000), end: String(toMs / 1_000), step: `${stepS}s` };
    for (const [key, value] of Object.entries(given)) url.searchParams.set(key, value);
    const { status, text } = await this.get(url, signal);
    const answer = read(text);
    if (answer?.status !== 'success') {
      throw new Error(`prometheus answered ${status}: ${answer?.error ?? text.slice(0, 200)}`);
    }
    if (answer.data?.resultType !== 'matrix')
      throw new Error(`the query gives a ${answer.data?.resultType}, not series`);
    return (answer.data.result ?? []).map(({ values = [] }) => values.flatMap(metricOf));
  }

  async close(): Promise<void> {}

  private get(url: URL, signal: AbortSignal): Promise<{ status: number; text: string }> {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const asked = request(url, { ...this.options, signal }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > ANSWER_MAX_BYTES)
            response.destroy(new Error(`prometheus answered with more than ${ANSWER_MAX_BYTES} bytes`));
          else chunks.push(chunk);
        });
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.once('error', reject);
      });
      asked.once('error', reject);
      asked.end();
    });
  }
}

/** Prometheus says NaN and Inf where there is nothing to be said. */
function metricOf([seconds, text]: [number, string]): Metric[] {
  const value = Number(text);
  return Number.isFinite(value) && Number.isFinite(seconds) ? [{ timestampMs: seconds * 1_000, value }] : [];
}

function read(text: string): Answer | undefined {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return undefined;
  }
}

function configProblems(config: Record<string, unknown>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [path, value] of Object.entries(config)) {
    if (!KEYS.includes(path) && !path.startsWith(HEADER))
      problems.push({ path, message: `is not known: ${KEYS.join(', ')}, header_NAME` });
    else if (!['string', 'boolean', 'number'].includes(typeof value))
      problems.push({ path, message: 'must be a string' });
  }
  if (!URL.canParse(String(config['address'] ?? '')))
    problems.push({ path: 'address', message: 'must be an address such as http://HOST:9090' });
  return problems;
}

const plugin: ApmPlugin = {
  kind: 'apm',
  name: 'prometheus',
  configProblems,
  create: ({ config }) =>
    new PrometheusApm(Object.fromEntries(Object.entries(config).map(([key, value]) => [key, String(value)]))),
};
export default plugin;
