import t from 'tap';
import { SingleReturns } from '../../plugins/driver-raw-exec/single-returns.js';

t.test('lines that two terminals have ended end once, however they are cut', async (t) => {
  const said = 'a\r\r\nb\r\nc 50%\rc 60%\r\rd\r\r\n\r\r\n€\n\r';
  const wanted = 'a\r\nb\r\nc 50%\rc 60%\r\rd\r\n\r\n€\n\r';
  const bytes = Buffer.from(said);
  for (let size = 1; size <= bytes.length; size++) {
    const returns = new SingleReturns();
    const shown: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += size) shown.push(returns.take(bytes.subarray(at, at + size)));
    t.equal(Buffer.concat([...shown, returns.rest()]).toString(), wanted, `pieces of ${size} bytes`);
  }
  const returns = new SingleReturns();
  t.equal(returns.take(Buffer.from('50%\r')).toString(), '50%\r', 'what moves the cursor is not held back');
  t.equal(returns.take(Buffer.from('\r')).length + returns.rest().length, 1, 'nothing is lost');
});
