import { MeshError } from '../../structs/errors.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad dht [options]',
  about: `Runs a bootstrap node, in the foreground until SIGINT or SIGTERM: with it members find each other without the public
DHT. It needs a machine whose UDP ports others can reach, knows no secret of any mesh, and keeps nothing. It takes four
ports in a row, because members learn from several nodes what kind of NAT they are behind.`,
  flags: {
    port: { type: 'int', value: 'port', help: 'First of the four UDP ports, default 49737.' },
    host: {
      type: 'string',
      value: 'IP',
      help: 'The IPv4 address others reach this machine by, default its own when it has one only.',
    },
  },
  local: true,
  async run({ args, flags, output }) {
    takeArgs(args, 0, 0, '');
    const { BOOTSTRAP_NODES, serveBootstrap } = await import('../../transport/dht/bootstrap.js');
    try {
      const { host, port, close } = await serveBootstrap({
        host: flags.string('host'),
        port: flags.int('port') ?? 49_737,
      });
      output.out(`A bootstrap node runs at ${host}, UDP ports ${port} to ${port + BOOTSTRAP_NODES - 1}.`);
      output.out('Every member of a mesh that is to use it has this line in its configuration:');
      output.out('');
      output.out(`  mesh { bootstrap = ["${host}:${port}"] }`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', resolve);
        process.once('SIGTERM', resolve);
      });
      await close();
      return 0;
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      output.error(error.message);
      return 1;
    }
  },
};
