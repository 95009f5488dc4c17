// The roll of virtual machines, in data that all threads of one Envoy share: who
// traps can say nothing any more, so the others notice that it fell silent. It
// works wherever the module runs, with nobody beside it that reads Envoy's
// statistics.

import { allocate, release } from './memory';
import { Bytes, bytes, bytesLength, bytesPtr, constant, equal } from './bytes';
import { monotonicUs, randomU64 } from './clock';
import { getProperty } from './properties';
import { getShared, setShared } from './shared-data';
import { Status } from './status';

const KEY = constant('layotto.roll');
const PLUGIN_NAME = constant('plugin_name');

/** A VM says this often that it is there, in microseconds. */
const BEAT_US: i64 = 450_000;
/** Who said nothing for so long has trapped, in microseconds; who speaks again is taken back. */
const SILENT_US: i64 = 3_000_000;
/** Who could not speak for so long itself, in microseconds, does not judge others: perhaps all stood still. */
const LATE_US: i64 = 1_500_000;
/** VMs and names together. Who does not fit is not watched. */
const MOST_RECORDS: i32 = 256;
const TRIES: i32 = 8;

// A record: its VM's id (0: it counts the traps of a name), microseconds of the last beat or trap, a count, a name.
const RECORD: i32 = 64;
const AT: usize = 8;
const COUNT: usize = 16;
const NAME_LENGTH: usize = 20;
const NAME: usize = 21;
const NAME_BYTES: i32 = 43;

/** Traps of one plugin. */
export class Traps {
  constructor(
    /** The plugin's name, in memory of `TrapList`. */
    readonly name: Bytes,
    readonly count: u32,
    /** Whole seconds since the last one. */
    readonly secondsAgo: i64,
  ) {}
}

/** What the roll says of traps; `free` gives its memory back. */
export class TrapList {
  readonly traps: Array<Traps> = [];
  private readonly value: Bytes;

  constructor() {
    this.value = getShared(KEY).value;
    const now = monotonicUs();
    const end = bytesPtr(this.value) + bytesLength(this.value);
    for (let at = bytesPtr(this.value); at + RECORD <= end; at += RECORD) {
      if (load<u64>(at) != 0 || load<u32>(at, COUNT) == 0) continue;
      const ago = max<i64>(0, now - load<i64>(at, AT)) / 1_000_000;
      this.traps.push(new Traps(nameOf(at), load<u32>(at, COUNT), ago));
    }
  }

  free(): void {
    release(this.value);
  }
}

let id: u64 = 0;
let name: Bytes = 0;
let roots: i32 = 0;
/** Microseconds of the last beat; 0 while this VM is not on the roll. */
let said: i64 = 0;

/** A root context of this VM has its configuration. It is on the roll from the first `beat`: a trial run has none. */
export function enterRoll(): void {
  if (roots++ == 0) {
    release(name);
    name = getProperty(PLUGIN_NAME);
  }
}

/** A stream begins: a VM may trap in its first one, before it has ticked. */
export function beatOnce(): void {
  if (said == 0) beat();
}

/** Says that this VM is there, and notices who fell silent. Call it from every tick. */
export function beat(): void {
  const now = monotonicUs();
  if (said != 0 && now - said < BEAT_US) return;
  if (id == 0) id = randomU64() | 1;
  const judges = said == 0 || now - said < LATE_US;
  if (change(now, judges)) said = now;
}

/** A root context goes in good order; with the last one this VM leaves the roll. */
export function leaveRoll(): void {
  if (--roots > 0) return;
  if (said != 0) change(0, false);
  said = 0;
  id = 0;
}

/** Writes this VM's record, or takes it out if `now` is 0. */
function change(now: i64, judges: bool): bool {
  for (let tries = 0; tries < TRIES; tries++) {
    const shared = getShared(KEY);
    const length = bytesLength(shared.value);
    const copy = allocate(length + 2 * RECORD);
    memory.copy(bytesPtr(copy), bytesPtr(shared.value), length);
    release(shared.value);
    const table = new Table(bytesPtr(copy), length);
    if (now == 0) table.remove(id);
    else table.note(now, judges);
    const status = setShared(KEY, bytes(bytesPtr(copy), table.length), shared.version);
    release(copy);
    if (status != Status.CasMismatch) return true;
  }
  return false;
}

function nameOf(record: usize): Bytes {
  return bytes(record + NAME, min(<i32>load<u8>(record, NAME_LENGTH), NAME_BYTES));
}

/** The records, in memory that has room for two more. */
class Table {
  constructor(
    private readonly start: usize,
    public length: i32,
  ) {
    // What is no whole record is none.
    this.length = length - (length % RECORD);
  }

  note(now: i64, judges: bool): void {
    const mine = this.vm(id);
    if (mine != 0) store<i64>(mine, now, AT);
    else {
      // Whoever took it for dead was wrong.
      const taken: usize = said == 0 ? <usize>0 : this.trapsOf(name);
      if (taken != 0 && load<u32>(taken, COUNT) > 0) store<u32>(taken, load<u32>(taken, COUNT) - 1, COUNT);
      this.add(id, now, name);
    }
    if (judges) this.judge(now);
  }

  remove(vm: u64): void {
    const record = this.vm(vm);
    if (record != 0) this.drop(record);
  }

  private judge(now: i64): void {
    for (let at = this.length - RECORD; at >= 0; at -= RECORD) {
      const record = this.start + at;
      const last = load<i64>(record, AT);
      if (load<u64>(record) == 0 || now - last < SILENT_US) continue;
      const traps = this.trapsOf(nameOf(record));
      if (traps == 0) {
        // The VM's own record becomes the first that counts.
        store<u64>(record, 0);
        store<u32>(record, 1, COUNT);
        continue;
      }
      store<u32>(traps, load<u32>(traps, COUNT) + 1, COUNT);
      store<i64>(traps, max(last, load<i64>(traps, AT)), AT);
      this.drop(record);
    }
  }

  private add(vm: u64, at: i64, called: Bytes): void {
    if (this.length >= MOST_RECORDS * RECORD) return;
    const record = this.start + this.length;
    const length = min(bytesLength(called), NAME_BYTES);
    memory.fill(record, 0, RECORD);
    store<u64>(record, vm);
    store<i64>(record, at, AT);
    store<u8>(record, <u8>length, NAME_LENGTH);
    memory.copy(record + NAME, bytesPtr(called), length);
    this.length += RECORD;
  }

  /** The last record takes its place. */
  private drop(record: usize): void {
    this.length -= RECORD;
    memory.copy(record, this.start + this.length, RECORD);
  }

  private vm(wanted: u64): usize {
    for (let at = 0; at < this.length; at += RECORD) {
      if (load<u64>(this.start + at) == wanted) return this.start + at;
    }
    return 0;
  }

  private trapsOf(called: Bytes): usize {
    const clipped = bytes(bytesPtr(called), min(bytesLength(called), NAME_BYTES));
    for (let at = 0; at < this.length; at += RECORD) {
      const record = this.start + at;
      if (load<u64>(record) == 0 && equal(nameOf(record), clipped)) return record;
    }
    return 0;
  }
}
