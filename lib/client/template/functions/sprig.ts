import { fn, type TemplateFunction } from '../../../template/index.js';
import { LIST_FUNCTIONS, MAP_FUNCTIONS } from './sprig-collections.js';
import { NUMBER_FUNCTIONS } from './sprig-numbers.js';
import { OTHER_FUNCTIONS } from './sprig-others.js';
import { STRING_FUNCTIONS } from './sprig-strings.js';

const RANDOM =
  'bcrypt buildCustomCert derivePassword encryptAES genCA genCAWithKey genPrivateKey genSelfSignedCert genSelfSignedCertWithKey genSignedCert genSignedCertWithKey htpasswd randInt shuffle';
const TIMES = 'ago mustDateModify mustToDate must_date_modify toDate unixEpoch';

/** What would come out different each time, while a template is rendered again and again; and times, which have a function. */
const REFUSED: Readonly<Record<string, TemplateFunction>> = Object.fromEntries([
  ...RANDOM.split(' ').map((name) => [
    name,
    refused(`sprig_${name} would come out different at each render: keep what it makes in a variable (nomadVar)`),
  ]),
  ...TIMES.split(' ').map((name) => [
    name,
    refused(`sprig_${name} is not here: timestamp tells the time by any layout`),
  ]),
  ['decryptAES', refused('sprig_decryptAES is not here: variables (nomadVar) are encrypted where they are kept')],
]);

/** The functions of the Sprig library that templates may call, as they call them: `sprig_default`. */
export const SPRIG_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = Object.fromEntries(
  Object.entries({
    ...REFUSED,
    ...STRING_FUNCTIONS,
    ...NUMBER_FUNCTIONS,
    ...LIST_FUNCTIONS,
    ...MAP_FUNCTIONS,
    ...OTHER_FUNCTIONS,
  }).map(([name, value]) => [`sprig_${name}`, value]),
);

function refused(message: string): TemplateFunction {
  return fn([0, Infinity], () => {
    throw new Error(message);
  });
}
