import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import t from 'tap';
import plugin from '../../plugins/driver-docker/index.js';

t.test("a group's network that fails in an engine which ends waits for its return", async (t) => {
  const dir = mkdtempSync('/tmp/meshnomad-engine-');
  let ends = false;
  const server = createServer((asked, answer) => {
    // Engines that end go on with the calls that they have, and take no others.
    if (ends) server.close();
    answer.statusCode = asked.url?.endsWith('/_ping') ? 200 : 500;
    answer.end('{"message":"failed to update store"}');
  });
  await new Promise<void>((resolve) => server.listen(`${dir}/sock`, resolve));
  const driver = await plugin.create({ config: { endpoint: `unix://${dir}/sock` }, stateDir: dir, log: () => {} });
  t.teardown(async () => {
    await driver.close();
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const network = async (): Promise<unknown> => driver.createNetwork?.('a1', { hostname: '' });
  await t.rejects(network(), { message: /a1: failed to update store/, away: false });
  ends = true;
  await t.rejects(network(), { message: /ends: network of allocation a1: failed to update store/, away: true });
});
