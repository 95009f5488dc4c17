// What is counted beside calls: the session, what is held, and what was refused
// for want of room.

import { Counter, Gauge } from '../host/metrics';
import { literal, View } from '../wire/view';

const SMALL_LINKS = literal('layotto_session_links;link=small');
const LARGE_LINKS = literal('layotto_session_links;link=large');
const LINKS_OPENED = literal('layotto_session_links_opened_total');
const LINKS_LOST = literal('layotto_session_links_lost_total');
const OPERATIONS = literal('layotto_operations_in_flight');
const STREAMS = literal('layotto_streams_open');
const BYTES = literal('layotto_bytes_held');
const REFUSED_OPERATIONS = literal('layotto_limit_refusals_total;limit=operations');
const REFUSED_STREAMS = literal('layotto_limit_refusals_total;limit=streams');
const REFUSED_BYTES = literal('layotto_limit_refusals_total;limit=bytes');
const CACHE_HITS = literal('layotto_near_cache_reads_total;result=hit');
const CACHE_MISSES = literal('layotto_near_cache_reads_total;result=miss');
const CACHE_INVALIDATIONS = literal('layotto_near_cache_invalidations_total');
const CACHE_BYTES = literal('layotto_near_cache_bytes');
const IDS_OF_RUNS = literal('layotto_sequencer_weak_ids_total;source=envoy');
const IDS_OF_BRIDGE = literal('layotto_sequencer_weak_ids_total;source=bridge');
const RUNS = literal('layotto_sequencer_segments_total');
const LIVE_HITS = literal('layotto_live_reads_total;result=hit');
const LIVE_MISSES = literal('layotto_live_reads_total;result=miss');
const LIVE_SUBSTITUTES = literal('layotto_live_reads_total;result=substitute');
const LIVE_BYTES = literal('layotto_live_bytes');
const REFUSED_MESSAGES = literal('layotto_limit_refusals_total;limit=message');

/** Numbers of one root context since it began, or now; the tick hands them to the host. */
export class Snapshot {
  /** Open links to the bridge that carry calls. */
  smallLinks: i32 = 0;
  largeLinks: i32 = 0;
  /** Links that the bridge has greeted, and links that broke. */
  linksOpened: i64 = 0;
  linksLost: i64 = 0;
  operations: i64 = 0;
  bytes: i64 = 0;
  refusedOperations: i64 = 0;
  refusedBytes: i64 = 0;
  /** Streams that pass now, and those refused. */
  streams: i32 = 0;
  refusedStreams: i64 = 0;
  refusedMessages: i64 = 0;
  /** Reads that may be answered from Envoy's memory, and were or were not. */
  cacheHits: i64 = 0;
  cacheMisses: i64 = 0;
  cacheInvalidations: i64 = 0;
  cacheBytes: i64 = 0;
  /** Ids handed out of runs, ids asked for beside them, and runs. */
  idsOfRuns: i64 = 0;
  idsOfBridge: i64 = 0;
  runs: i64 = 0;
  /** Reads that Envoy may answer by itself: it did, it did not, and it did only because the bridge could not. */
  liveHits: i64 = 0;
  liveMisses: i64 = 0;
  liveSubstitutes: i64 = 0;
  liveBytes: i64 = 0;
}

/** A counter that is told its total. */
class Total {
  private readonly counter: Counter;
  private told: i64 = 0;

  constructor(name: View) {
    this.counter = new Counter(name);
  }

  set(total: i64): void {
    this.counter.add(total - this.told);
    this.told = total;
  }
}

export class RuntimeMetrics {
  private readonly smallLinks: Gauge = new Gauge(SMALL_LINKS);
  private readonly largeLinks: Gauge = new Gauge(LARGE_LINKS);
  private readonly linksOpened: Total = new Total(LINKS_OPENED);
  private readonly linksLost: Total = new Total(LINKS_LOST);
  private readonly operations: Gauge = new Gauge(OPERATIONS);
  private readonly streams: Gauge = new Gauge(STREAMS);
  private readonly bytes: Gauge = new Gauge(BYTES);
  private readonly refusedOperations: Total = new Total(REFUSED_OPERATIONS);
  private readonly refusedStreams: Total = new Total(REFUSED_STREAMS);
  private readonly refusedBytes: Total = new Total(REFUSED_BYTES);
  private readonly refusedMessages: Total = new Total(REFUSED_MESSAGES);
  private readonly cacheHits: Total = new Total(CACHE_HITS);
  private readonly cacheMisses: Total = new Total(CACHE_MISSES);
  private readonly cacheInvalidations: Total = new Total(CACHE_INVALIDATIONS);
  private readonly cacheBytes: Gauge = new Gauge(CACHE_BYTES);
  private readonly idsOfRuns: Total = new Total(IDS_OF_RUNS);
  private readonly idsOfBridge: Total = new Total(IDS_OF_BRIDGE);
  private readonly runs: Total = new Total(RUNS);
  private readonly liveHits: Total = new Total(LIVE_HITS);
  private readonly liveMisses: Total = new Total(LIVE_MISSES);
  private readonly liveSubstitutes: Total = new Total(LIVE_SUBSTITUTES);
  private readonly liveBytes: Gauge = new Gauge(LIVE_BYTES);

  /** Hands over what has changed. */
  tell(now: Snapshot): void {
    this.smallLinks.set(now.smallLinks);
    this.largeLinks.set(now.largeLinks);
    this.linksOpened.set(now.linksOpened);
    this.linksLost.set(now.linksLost);
    this.operations.set(now.operations);
    this.streams.set(now.streams);
    this.bytes.set(now.bytes);
    this.refusedOperations.set(now.refusedOperations);
    this.refusedStreams.set(now.refusedStreams);
    this.refusedBytes.set(now.refusedBytes);
    this.refusedMessages.set(now.refusedMessages);
    this.cacheHits.set(now.cacheHits);
    this.cacheMisses.set(now.cacheMisses);
    this.cacheInvalidations.set(now.cacheInvalidations);
    this.cacheBytes.set(now.cacheBytes);
    this.idsOfRuns.set(now.idsOfRuns);
    this.idsOfBridge.set(now.idsOfBridge);
    this.runs.set(now.runs);
    this.liveHits.set(now.liveHits);
    this.liveMisses.set(now.liveMisses);
    this.liveSubstitutes.set(now.liveSubstitutes);
    this.liveBytes.set(now.liveBytes);
  }

  /** Takes this context's share out of what is shown as being there now. */
  leave(): void {
    this.streams.set(0);
    this.smallLinks.set(0);
    this.largeLinks.set(0);
    this.operations.set(0);
    this.bytes.set(0);
    this.cacheBytes.set(0);
    this.liveBytes.set(0);
  }
}
