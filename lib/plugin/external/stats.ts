import type { TaskResourceUsage } from '../../structs/rpc.js';
import type { AnswerStream, Connection } from '../go-plugin/connection.js';
import { driverMethod } from './nomad-plugin.js';
import { type ProtoStats, toTaskUsage } from './usage.js';

const PERIOD_MS = 1_000;
const FIRST_MS = 5_000;
/** A stream that nobody has asked for in this time is ended. */
const IDLE_MS = 30_000;

/** A plugin's figures of one task: a stream is kept while somebody asks, since the use of a processor is told from two looks. */
export class TaskStats {
  readonly #taskId: string;
  #latest: TaskResourceUsage | undefined;
  #ending: AbortController | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(taskId: string) {
    this.#taskId = taskId;
  }

  /** The newest figures. */
  async ask(connection: Connection): Promise<TaskResourceUsage> {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
    if (this.#ending && this.#latest) return this.#latest;
    this.close();
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    const request = {
      task_id: this.#taskId,
      collection_interval: { seconds: PERIOD_MS / 1000, nanos: 0 },
    };
    const timeout = setTimeout(() => this.close(), FIRST_MS);
    try {
      const stream = await connection.stream<{ stats: ProtoStats | null }>(driverMethod('TaskStats'), request, signal);
      return await this.#first(stream);
    } finally {
      clearTimeout(timeout);
    }
  }

  close(): void {
    this.#ending?.abort();
    this.#ending = undefined;
    this.#latest = undefined;
  }

  #first(stream: AnswerStream<{ stats: ProtoStats | null }>): Promise<TaskResourceUsage> {
    return new Promise((resolve, reject) => {
      stream.on('data', ({ stats }) => {
        if (!stats) return;
        this.#latest = toTaskUsage(stats);
        resolve(this.#latest);
      });
      const end = (error: Error): void => {
        this.close();
        reject(error);
      };
      stream.on('error', end);
      stream.on('end', () => end(new Error('the plugin gives no figures of this task')));
    });
  }
}
