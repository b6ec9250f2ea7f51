import type { Entry } from '../agent/mesh/start.js';
import { AGENT_FLAGS, agentArguments, agentFlags } from './agent-flags.js';
import type { Context, FlagSpec } from './command.js';
import { meshStory } from './mesh-story.js';
import { defaultDataDir } from './places.js';
import { installService, serviceObstacle } from './service.js';
import { VERSION } from './version.js';

/** What init, up and join take besides their own. */
export const START_FLAGS: Record<string, FlagSpec> = {
  json: { type: 'bool', help: 'What happens as JSON, an object a line.' },
  'no-start': { type: 'bool', help: 'Only come into the mesh: the agent is started by something else.' },
  'install-service': { type: 'bool', help: 'Have systemd run the agent, now and whenever the machine starts.' },
  ...AGENT_FLAGS,
};

/** Comes into a mesh, then runs the agent: here in the foreground, or by systemd. */
export async function startInMesh({ flags, output, env }: Context, entry: Entry): Promise<number> {
  const byService = flags.bool('install-service');
  const obstacle = byService ? serviceObstacle() : undefined;
  if (obstacle !== undefined) {
    output.error(obstacle);
    return 1;
  }
  const json = flags.bool('json');
  const given = agentFlags(flags);
  const request = {
    configPaths: flags.list('config'),
    flags: json ? { ...given, logJson: true } : given,
    dev: false,
    version: VERSION,
    dataDirDefault: defaultDataDir(env),
    entry,
    enterOnly: byService || flags.bool('no-start'),
  };
  const { runAgent } = await import('../agent/run.js');
  const code = await runAgent(request, { ...output, story: meshStory(output, json) });
  if (code !== 0 || !byService) return code;
  const said = agentArguments(flags);
  // Without a word about it the service would look where the user keeps such things, and it runs as another one.
  const place =
    given.dataDir === null && request.configPaths.length === 0 ? [`-data-dir=${request.dataDirDefault}`] : [];
  output.out(installService([...said, ...place]));
  return 0;
}
