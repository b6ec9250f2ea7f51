import { messageOf, type PluginInstance } from '../go-plugin/supervise.js';
import type { DriverEvent, DriverFingerprint, DriverOptions } from '../sdk/driver.js';
import { attributeValue, driverMethod, type ProtoAttribute } from './nomad-plugin.js';

/** A stream that a living plugin ends is opened again after this long. */
const AGAIN_MS = 5_000;

interface ProtoFingerprint {
  attributes: Record<string, ProtoAttribute>;
  health: 'UNDETECTED' | 'UNHEALTHY' | 'HEALTHY';
  health_description: string;
  err: string;
}

interface ProtoEvent {
  task_id: string;
  message: string;
  annotations: Record<string, string>;
}

const HEALTH = { UNDETECTED: 'undetected', UNHEALTHY: 'unhealthy', HEALTHY: 'healthy' } as const;

/** Hears what the driver says of its engine, as long as this instance lives. */
export async function followFingerprint(
  instance: PluginInstance<unknown>,
  log: DriverOptions['log'],
  onFound: (found: DriverFingerprint) => void,
): Promise<void> {
  await follow<ProtoFingerprint>(instance, 'Fingerprint', (found) => onFound(toFingerprint(found)), {
    onFailed: (why) => log('warn', 'the plugin gives no fingerprint', { why }),
  });
}

/** Hears what happens to tasks. */
export async function followEvents(
  instance: PluginInstance<unknown>,
  onEvent: (event: DriverEvent) => void,
): Promise<void> {
  await follow<ProtoEvent>(instance, 'TaskEvents', ({ task_id, message, annotations }) =>
    onEvent({ taskId: task_id, message, annotations }),
  );
}

async function follow<T>(
  { connection, signal }: PluginInstance<unknown>,
  name: string,
  onMessage: (message: T) => void,
  { onFailed }: { onFailed?: (why: string) => void } = {},
): Promise<void> {
  while (!signal.aborted) {
    let why = 'the plugin ended the stream';
    try {
      const stream = await connection.stream<T>(driverMethod(name), {}, signal);
      for await (const message of stream) onMessage(message);
    } catch (error) {
      why = messageOf(error);
    }
    await new Promise<void>((resolve) => setTimeout(resolve, AGAIN_MS).unref());
    // One that is no more has its own story told.
    if (!signal.aborted) onFailed?.(why);
  }
}

function toFingerprint({ attributes, health, health_description, err }: ProtoFingerprint): DriverFingerprint {
  const texts: Record<string, string> = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    const value = attributeValue(attribute);
    if (value !== undefined) texts[name] = `${value}${attribute.unit}`;
  }
  if (err !== '') return { health: 'unhealthy', healthDescription: err, attributes: {} };
  return { health: HEALTH[health], healthDescription: health_description, attributes: texts };
}
