import { hostname, userInfo } from 'node:os';
import type { Command } from '../command.js';
import { readJoinKey } from '../join-key.js';
import { meshStory } from '../mesh-story.js';
import { profileDir } from '../places.js';
import { VERSION } from '../version.js';

export const command: Command = {
  usage: 'meshnomad operator login [options] <invite>',
  about: `Makes a key for you on this machine and has it admitted to a mesh as operator, by an invite that was made with
"meshnomad invite -role operator". From then on every command reaches the mesh from here, through any NAT, where no agent
runs and no address is given. The invite is given as to "meshnomad join".`,
  flags: {
    'key-file': { type: 'string', value: 'path', help: 'A file with the invite.' },
    name: { type: 'string', value: 'name', help: 'Your name in the mesh, default that of the user and the host.' },
    bootstrap: {
      type: 'list',
      value: 'host:port',
      help: 'A node of a DHT of your own, instead of the public one; "none" for the local network only.',
    },
    json: { type: 'bool', help: 'What happens as JSON, an object a line.' },
  },
  local: true,
  async run({ args, flags, output, env }) {
    const invite = await readJoinKey({ args, keyFile: flags.string('key-file'), env, command: 'operator login' });
    const name = flags.string('name');
    const { loginOperator } = await import('../../agent/mesh/login.js');
    const profile = profileDir(env);
    const done = await loginOperator({
      profile,
      invite,
      name: name ?? `${userInfo().username}-${hostname()}`,
      nameChosen: name !== undefined,
      bootstrap: flags.list('bootstrap').flatMap((text) => text.split(',')),
      version: VERSION,
      onStep: meshStory(output, flags.bool('json')).step,
    });
    if (!done.ok) {
      output.error(done.error);
      return 1;
    }
    if (!flags.bool('json')) output.out(`Your key lies in ${profile}. Try: meshnomad members`);
    return 0;
  },
};
