import { Resolver } from 'node:dns/promises';

const TIMEOUT_MS = 2_000;
const TRIES = 2;

type Lookup = (host: string, options: { family: number }) => Promise<{ host: string; family: number }>;

/** How a node looks up the names of its bootstrap nodes. */
export interface Names {
  readonly lookup: Lookup;
  /** Gives up what is asked, and answers nothing any more. */
  end(): void;
}

/**
 * The system's own lookup cannot be called off, and without a name server it takes ten seconds and more, for which the process
 * then does not end. So public names are asked of the name servers in a way that can. Other names (of one's own bootstrap
 * nodes) may stand in /etc/hosts, and go the system's way, one at a time.
 */
export function endableNames(system: Lookup, isPublic: (host: string) => boolean): Names {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  let ended = false;
  return {
    async lookup(host, options) {
      if (ended) throw new Error('the node is closed');
      if (!isPublic(host)) return system(host, options);
      const [address] = await resolver.resolve4(host);
      if (ended || address === undefined) throw new Error(`${host} has no address`);
      return { host: address, family: 4 };
    },
    end() {
      ended = true;
      resolver.cancel();
    },
  };
}
