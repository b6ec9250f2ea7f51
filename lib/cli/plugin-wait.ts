import type { CsiPlugin, CsiVolume } from '../structs/csi.js';
import type { Millis } from '../util/clock.js';
import type { ApiClient } from './api.js';
import type { Output } from './command.js';
import { shortId } from './format.js';
import { LiveLine } from './live-line.js';

/** When it is spoken. */
interface Pace {
  /** What is answered sooner needs no words. */
  silenceMs: Millis;
  tickMs: Millis;
  /** Where no terminal is. */
  lineEveryMs: Millis;
  /** How often it is found out why it takes so long. */
  whyEveryMs: Millis;
}

const PACE: Pace = { silenceMs: 2_000, tickMs: 1_000, lineEveryMs: 10_000, whyEveryMs: 5_000 };

/** What a plugin is asked to do. */
export interface PluginWork {
  /** As in "waiting for plugin "x" to WHAT". */
  what: string;
  /** Absent: the one of the volume, which is looked up. */
  pluginId?: string | undefined;
  /** The volume that it is about, if it is one that is known. */
  volumeId?: string;
}

/**
 * Waits for an answer that a plugin may be long in giving, and says meanwhile who is waited for, for how long, and what is in the way:
 * on a terminal in one line that lives, elsewhere in lines of standard error.
 */
export async function whilePluginWorks<T>(
  { api, output }: { api: ApiClient; output: Output },
  work: PluginWork,
  answer: Promise<T>,
  pace: Pace = PACE,
): Promise<T> {
  const line = new LiveLine(output, (text) => output.error(text), pace.lineEveryMs);
  const beganMs = Date.now();
  let plugin = work.pluginId === undefined ? 'its plugin' : `plugin ${JSON.stringify(work.pluginId)}`;
  let why = '';
  let askedMs = 0;
  let isOver = false;
  const find = async (): Promise<void> => {
    askedMs = Date.now();
    const found = await inTheWay(api, work);
    if (found.pluginId !== undefined) plugin = `plugin ${JSON.stringify(found.pluginId)}`;
    why = found.why;
  };
  const tick = async (): Promise<void> => {
    // What cannot be found out is no reason to be silent.
    if (Date.now() - askedMs >= pace.whyEveryMs) await find().catch(() => {});
    if (isOver) return;
    const seconds = Math.round((Date.now() - beganMs) / 1000);
    line.show(`waiting for ${plugin} to ${work.what} (${seconds} s)${why === '' ? '' : `: ${why}`}`, why);
  };
  let timer = setTimeout(function again() {
    void tick().finally(() => {
      if (!isOver) timer = setTimeout(again, pace.tickMs);
    });
  }, pace.silenceMs);
  try {
    return await answer;
  } finally {
    isOver = true;
    clearTimeout(timer);
    line.end();
  }
}

/** Who is asked, and what is known to keep it from answering; '' = nothing. */
async function inTheWay(
  api: ApiClient,
  { pluginId, volumeId }: PluginWork,
): Promise<{ pluginId: string | undefined; why: string }> {
  const volume =
    volumeId === undefined
      ? undefined
      : (await api.get<CsiVolume>(`/v1/volume/csi/${encodeURIComponent(volumeId)}`)).value;
  const id = pluginId ?? volume?.PluginID;
  const held = volume?.Claims.find(({ State, WaitsFor }) => State !== 'taken' && WaitsFor !== '');
  if (held) return { pluginId: id, why: `its release comes first, and waits for ${held.WaitsFor}` };
  if (id === undefined) return { pluginId: id, why: '' };
  const { value: plugin } = await api.get<CsiPlugin>(`/v1/plugin/csi/${encodeURIComponent(id)}`);
  const sick = Object.entries(plugin.Controllers).find(([, { Healthy }]) => !Healthy);
  const why = sick
    ? `its controller on node ${shortId(sick[0], false)} is not healthy (${sick[1].HealthDescription})`
    : '';
  return { pluginId: id, why };
}
