import { all, duration, type Field, type Fields, flag, labelled, object, text, texts } from './fields.js';

/** `apm`, `strategy` and `target`. */
export const SCALER_PLUGIN_FIELD: Field = labelled({ driver: text, args: texts, config: object, package: text });

/** The autoscaler of servers; inside it, the words of Nomad's autoscaler. */
export const AUTOSCALER_FIELDS: Fields = {
  enabled: flag,
  /** A directory with policy files (`*.hcl`, `*.json`): `scaling "NAME" { min, max, policy {} }`. */
  policy_dir: text,
  ...all('default_evaluation_interval default_cooldown', duration),
  ...all('apm strategy target', SCALER_PLUGIN_FIELD),
};
