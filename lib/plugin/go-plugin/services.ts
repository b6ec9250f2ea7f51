import type { DriverOptions } from '../sdk/driver.js';
import type { Connection, Method } from './connection.js';
import { LineSplitter, parseLogLine } from './log-lines.js';

const HEALTH: Method = { file: 'health', service: 'grpc.health.v1.Health', name: 'Check' };
const SHUTDOWN: Method = { file: 'go-plugin', service: 'plugin.GRPCController', name: 'Shutdown' };
const STDIO: Method = { file: 'go-plugin', service: 'plugin.GRPCStdio', name: 'StreamStdio' };

interface StdioData {
  channel: 'INVALID' | 'STDOUT' | 'STDERR';
  data: Buffer;
}

/** The services that go-plugin itself adds to every plugin. */
export class PluginServices {
  readonly #connection: Connection;
  readonly #ending = new AbortController();

  constructor(connection: Connection, log: DriverOptions['log']) {
    this.#connection = connection;
    // Plugins of before this service print to their own stdout and stderr, and so into their files.
    void this.#followOutput(log).catch(() => {});
  }

  /** Whether the plugin answers. */
  async isServing(timeoutMs: number): Promise<boolean> {
    const { signal } = this.#ending;
    try {
      const { status } = await this.#connection.call<{ status: string }>(
        HEALTH,
        { service: 'plugin' },
        { timeoutMs, signal },
      );
      return status === 'SERVING';
    } catch {
      return false;
    }
  }

  /** Asks the plugin to end; whether it heard is seen by its end. */
  async shutdown(timeoutMs: number): Promise<void> {
    await this.#connection.call(SHUTDOWN, {}, { timeoutMs }).catch(() => {});
  }

  close(): void {
    this.#ending.abort();
  }

  /** What the plugin prints after its start: it must be read, or the plugin stands still once a buffer is full. */
  async #followOutput(log: DriverOptions['log']): Promise<void> {
    const splitters: Record<string, LineSplitter> = {};
    for (const channel of ['STDOUT', 'STDERR']) {
      splitters[channel] = new LineSplitter((line) => {
        const said = parseLogLine(line);
        if (said) log(said.level, said.message, said.fields);
      });
    }
    const stream = await this.#connection.stream<StdioData>(STDIO, {}, this.#ending.signal);
    stream.on('error', () => {});
    for await (const { channel, data } of stream) splitters[channel]?.push(data.toString('utf8'));
  }
}
