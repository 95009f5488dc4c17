/** Sections of Layotto's `grpc_config` that hold components, and the primitive of each. */
export const SECTIONS: Readonly<Record<string, string>> = {
  hellos: 'hello',
  state: 'state',
  config_store: 'configuration',
  rpcs: 'invoke',
  pub_subs: 'pubsub',
  lock: 'lock',
  sequencer: 'sequencer',
  file: 'file',
  oss: 'oss',
  secret_store: 'secret',
  bindings: 'binding',
  cryption: 'cryption',
  email: 'email',
  phone: 'phone',
  sms: 'sms',
  custom_component: 'custom',
};
