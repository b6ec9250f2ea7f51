// What stands before an engine that listens on the network: TLS that asks for a client's certificate.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';

export interface TlsFront {
  /** `tcp://127.0.0.1:port`. */
  endpoint: string;
  /** Files of the authority, and of a certificate of a client with its key. */
  ca: string;
  cert: string;
  key: string;
  close(): void;
}

/** Starts one before a socket, with certificates made for it in `dir`. */
export async function startTlsFront(socketPath: string, dir: string): Promise<TlsFront> {
  const ca = makeCertificate(dir, 'ca');
  const own = makeCertificate(dir, 'server', ca);
  const client = makeCertificate(dir, 'client', ca);
  const server = createServer(
    {
      ca: readFileSync(ca.cert),
      cert: readFileSync(own.cert),
      key: readFileSync(own.key),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => {
      const behind = connect(socketPath);
      socket.pipe(behind).pipe(socket);
      for (const [one, other] of [
        [socket, behind],
        [behind, socket],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => other.destroy());
        open.add(one);
      }
    },
  );
  const open = new Set<{ destroy(): void }>();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `tcp://127.0.0.1:${(server.address() as { port: number }).port}`,
    ca: ca.cert,
    ...client,
    close() {
      server.close();
      for (const one of open) one.destroy();
    },
  };
}

interface Certificate {
  cert: string;
  key: string;
}

function makeCertificate(dir: string, name: string, by?: Certificate): Certificate {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  args.push('-subj', `/CN=meshnomad test ${name}`, '-out', cert, '-keyout', key);
  if (by) args.push('-CA', by.cert, '-CAkey', by.key, '-addext', 'subjectAltName=IP:127.0.0.1');
  execFileSync('openssl', args, { stdio: 'ignore' });
  return { cert, key };
}
