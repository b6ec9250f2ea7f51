import { randomBytes } from 'node:crypto';
import type { CertificateChain, CertificateClaims, NodeKey } from '../../structs/mesh.js';
import { err, ok, type Result } from '../../util/result.js';
import { FRAME_VERSIONS } from '../frame.js';
import type { Connection } from '../network.js';
import type { Address } from '../tcp.js';
import { type Greeted, shakeHands } from './handshake.js';
import type { Hello, LinkKind } from './hello.js';
import type { PeersOptions } from './options.js';

type GreeterOptions = Pick<
  PeersOptions,
  'network' | 'roster' | 'certificate' | 'verify' | 'clock' | 'version' | 'relay'
>;

/** Says hello for this agent, and judges the hello of others. */
export class Greeter {
  readonly #options: GreeterOptions;
  /** Of this start of the program: see Hello. */
  readonly #instance = randomBytes(16).toString('hex');

  constructor(options: GreeterOptions) {
    this.#options = options;
  }

  /** Where this agent may be reached, its public address first. */
  addresses(): readonly Address[] {
    const { publicAddress, localAddresses } = this.#options.network.report();
    return publicAddress ? [publicAddress, ...localAddresses] : localAddresses;
  }

  /** Whether others' traffic may pass through here now. */
  relays(): boolean {
    const { relay, network } = this.#options;
    return relay && network.report().nat === 'open';
  }

  /** Resolves once both sides have proven themselves; rejects with the reason why not, and the connection is closed then. */
  greet(
    connection: Connection,
    link: LinkKind,
    timeoutMs: number,
    check = (chain: CertificateChain) => this.check(connection.remoteKey, chain),
  ): Promise<Greeted> {
    return shakeHands({
      connection,
      clock: this.#options.clock,
      hello: this.#hello(link),
      timeoutMs,
      check: ({ chain }) => check(chain),
    });
  }

  /** Whether a chain makes its owner a member today. */
  check(key: NodeKey, chain: CertificateChain): Result<CertificateClaims, string> {
    const { verify, roster } = this.#options;
    const verified = verify(key, chain);
    if (!verified.ok) return err(verified.error.message);
    const { claims } = verified.value;
    if (claims.Key !== key) return err('the certificate is for another key');
    if (claims.Mesh !== roster.mesh) return err('the certificate is for another mesh');
    const member = roster.find(key);
    if (member?.status !== 'admitted') return err(`${claims.Name} is ${member?.status ?? 'unknown'} here`);
    if (member.role !== claims.Role) {
      return err(`${claims.Name} shows a certificate as ${claims.Role}, and is ${member.role}`);
    }
    return ok(claims);
  }

  /** What a chain says of a key that nobody has told of, if it proves it to be a server of this mesh, today. */
  serverOf(key: NodeKey, chain: CertificateChain): Result<CertificateClaims, string> {
    const { verify, roster, clock } = this.#options;
    const verified = verify(key, chain);
    if (!verified.ok) return err(verified.error.message);
    const { claims } = verified.value;
    if (claims.Mesh !== roster.mesh) return err('the certificate is for another mesh');
    if (claims.Role !== 'server' || !claims.Issuer) return err(`${claims.Name} is no server`);
    return clock.now() > claims.NotAfter ? err(`the certificate of ${claims.Name} has ended`) : ok(claims);
  }

  #hello(link: LinkKind): Hello {
    const { certificate, clock, version } = this.#options;
    return {
      versions: FRAME_VERSIONS,
      link,
      chain: certificate().chain,
      instance: this.#instance,
      program: version,
      now: clock.now(),
      addresses: this.addresses(),
      relays: this.relays(),
    };
  }
}
