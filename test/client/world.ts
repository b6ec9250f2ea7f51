import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { AllocHook } from '../../lib/client/alloc-hooks/hook.js';
import { type Client, createClient } from '../../lib/client/client.js';
import { type ClientConfig, defaultClientConfig } from '../../lib/client/config.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FAKE_FINGERPRINTS, FakeDriver, FakeEngine, FakeServer, FakeTimers, until } from './fakes.js';

/** A machine with a data directory and an engine; its agent can be killed and started again. */
export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'client-test-'));
  readonly engine = new FakeEngine();
  readonly server = new FakeServer();
  readonly timers = new FakeTimers();
  readonly warnings: string[] = [];
  /** All that was logged. */
  readonly told: string[] = [];
  driver = new FakeDriver(this.engine);
  allocHooks: readonly AllocHook[] = [];
  fingerprints = FAKE_FINGERPRINTS;
  private seed = 1;

  constructor(t: Test) {
    t.teardown(() => rmSync(this.dir, { recursive: true, force: true }));
  }

  async agent(t: Test, config: Partial<ClientConfig> = {}): Promise<Client> {
    this.driver = new FakeDriver(this.engine);
    const client = await this.create(config);
    t.teardown(() => client.shutdown());
    await client.start();
    return client;
  }

  create(config: Partial<ClientConfig> = {}): Promise<Client> {
    const dirs = { stateDir: join(this.dir, 'client'), allocDir: join(this.dir, 'alloc') };
    return createClient({
      rpc: this.server,
      drivers: { fake: this.driver },
      config: { ...defaultClientConfig({ ...dirs, nodeName: 'box' }), ...config },
      httpAddr: '127.0.0.1:4646',
      version: '0.1.0',
      log: createLog(({ level, message }) => {
        this.told.push(message);
        if (level === 'warn' || level === 'error') this.warnings.push(message);
      }),
      now: () => this.timers.now(),
      random: seededRandom(this.seed++),
      timers: this.timers,
      fingerprints: this.fingerprints,
      allocHooks: this.allocHooks,
    });
  }

  /** A task waits for its restart: its delay is 15 s and up to a quarter more; no other timer has such a delay here. */
  get delaysRestart(): boolean {
    return this.timers.delays.some((ms) => ms >= 15_000 && ms <= 18_750);
  }

  /** Waits for a reported status; timers of no delay run meanwhile. */
  async status(id: string, status: string): Promise<void> {
    await until(() => {
      this.timers.advance(0);
      return this.server.reported(id)?.ClientStatus === status;
    }, `${id} is ${status}`);
  }
}
