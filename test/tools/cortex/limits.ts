/** Limits of a tenant, with the names and defaults of Cortex; 0 switches most of them off. */
export interface CortexLimits {
  /** `out_of_order_time_window`, in ms. */
  outOfOrderWindowMs: number;
  rejectOldSamples: boolean;
  rejectOldSamplesMaxAgeMs: number;
  creationGracePeriodMs: number;
  maxLabelNamesPerSeries: number;
  /** Bytes, as `maxLabelValueLength`. */
  maxLabelNameLength: number;
  maxLabelValueLength: number;
  maxSeriesPerUser: number;
  maxSeriesPerMetric: number;
  /** How many series may have exactly these labels. */
  maxSeriesPerLabelSet: { labels: Record<string, string>; limit: number }[];
  /** 0: exemplars are judged by the distributor all the same, and then dropped silently. */
  maxExemplars: number;
  /** False: native histograms are dropped silently. */
  enableNativeHistograms: boolean;
  /** Bytes of one native histogram; a larger one refuses the whole request when it is read. */
  maxNativeHistogramSizeBytes: number;
  maxMetadataLength: number;
  /** Samples, exemplars and metadata a second, and at once. */
  ingestionRate: number;
  ingestionBurstSize: number;
  acceptHaSamples: boolean;
  haClusterLabel: string;
  haReplicaLabel: string;
  haMaxClusters: number;
  haFailoverTimeoutMs: number;
  haUpdateTimeoutMs: number;
}

export const CORTEX_DEFAULTS: CortexLimits = {
  outOfOrderWindowMs: 0,
  rejectOldSamples: false,
  rejectOldSamplesMaxAgeMs: 14 * 24 * 3_600_000,
  creationGracePeriodMs: 600_000,
  maxLabelNamesPerSeries: 30,
  maxLabelNameLength: 1024,
  maxLabelValueLength: 2048,
  maxSeriesPerUser: 5_000_000,
  maxSeriesPerMetric: 50_000,
  maxSeriesPerLabelSet: [],
  maxExemplars: 0,
  enableNativeHistograms: false,
  maxNativeHistogramSizeBytes: 16 * 1024,
  maxMetadataLength: 1024,
  ingestionRate: 0,
  ingestionBurstSize: 50_000,
  acceptHaSamples: false,
  haClusterLabel: 'cluster',
  haReplicaLabel: '__replica__',
  haMaxClusters: 0,
  haFailoverTimeoutMs: 30_000,
  haUpdateTimeoutMs: 15_000,
};
