/** A data source that asks Prometheus as Grafana's own does: steps, macros, names of series, tables, buckets, variables. */
import {
  DataFrame,
  DataFrameType,
  DataQueryRequest,
  DataQueryResponse,
  DataSourceApi,
  DataSourceInstanceSettings,
  FieldType,
  MetricFindValue,
  ScopedVars,
  TimeRange,
} from '@grafana/data';
import { sceneGraph } from '@grafana/scenes';
import { from, Observable } from 'rxjs';

type Labels = Record<string, string>;
type Sample = [number, string];

interface Series {
  metric: Labels;
  value?: Sample;
  values?: Sample[];
}

interface Query {
  refId: string;
  expr: string;
  instant?: boolean;
  range?: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat?: string;
  interval?: string;
  hide?: boolean;
}

/** Where this page's server passes questions on to Prometheus. */
const API = 'prometheus/api/v1';

/** Grafana never asks for more points of a series than this. */
const MOST_POINTS = 11000;

export class Prometheus extends DataSourceApi<Query> {
  /** Milliseconds between scrapes, as an operator tells Grafana in the settings of the data source. */
  readonly scrape: number;

  constructor(settings: DataSourceInstanceSettings, scrapeSeconds: number) {
    super(settings);
    this.scrape = scrapeSeconds * 1000;
    this.interval = `${scrapeSeconds}s`;
  }

  query(request: DataQueryRequest<Query>): Observable<DataQueryResponse> {
    const targets = request.targets.filter((target) => !target.hide && target.expr);
    return from(this.answers(targets, request));
  }

  async testDatasource() {
    await ask('query', { query: '1' });
    return { status: 'success', message: 'ok' };
  }

  /** Answer `label_values(...)`, `query_result(...)` and the rest of what a variable may ask. */
  async metricFindQuery(asked: any, options?: any): Promise<MetricFindValue[]> {
    const range: TimeRange = options.range;
    const step = Math.max(this.scrape, 1000);
    const text = this.filled(typeof asked === 'string' ? asked : asked.query, options.scopedVars, range, step);
    const window = { start: seconds(range.from), end: seconds(range.to) };
    const labelled = /^\s*label_values\((?:(.+),\s*)?([a-zA-Z_][a-zA-Z0-9_]*)\)\s*$/s.exec(text);
    if (labelled) {
      const match = labelled[1] ? { 'match[]': labelled[1].trim() } : {};
      return (await ask(`label/${labelled[2]}/values`, { ...window, ...match })).map(option);
    }
    const result = /^\s*query_result\((.+)\)\s*$/s.exec(text);
    if (result) {
      const found = await ask('query', { query: result[1], time: window.end });
      return found.result.map(resultText).map(option);
    }
    throw new Error(`the preview does not know this question of a variable: ${text}`);
  }

  /** Return what an annotation marks: one stretch of time for each unbroken run of samples. */
  async annotationQuery({ annotation, range }: any): Promise<any[]> {
    const step = Math.max(duration(annotation.step || '60s'), this.scrape);
    const expr = this.filled(annotation.expr, { __sceneObject: this.scene() }, range, step);
    const found = await this.rangeOf(expr, range, step).catch((error) => {
      throw new Error(`annotation "${annotation.name}": ${error.message}`);
    });
    return found.flatMap((series) =>
      runs(series.values ?? [], step / 1000).map(([begin, end]) => ({
        annotation,
        time: begin * 1000,
        timeEnd: end * 1000,
        isRegion: end > begin,
        title: named(annotation.titleFormat, series.metric),
        text: named(annotation.textFormat, series.metric),
        tags: (annotation.tagKeys ?? '').split(',').map((key: string) => series.metric[key.trim()]).filter(Boolean),
      }))
    );
  }

  /** The scene whose variables an annotation sees; set when the dashboard is there. */
  scene: () => any = () => undefined;

  private async answers(targets: Query[], request: DataQueryRequest<Query>): Promise<DataQueryResponse> {
    const tables = targets.filter((target) => target.format === 'table').length;
    const answers = await Promise.all(targets.map((target) => this.answer(target, request, tables > 1)));
    return { data: answers.flat() };
  }

  private async answer(target: Query, request: DataQueryRequest<Query>, several: boolean): Promise<DataFrame[]> {
    const wished = target.interval ? duration(target.interval) : 0;
    const length = request.range.to.valueOf() - request.range.from.valueOf();
    const step = Math.max(request.intervalMs, wished, this.scrape, Math.ceil(length / MOST_POINTS / 1000) * 1000);
    const expr = this.filled(target.expr, request.scopedVars, request.range, step);
    const series = target.instant ? await this.now(expr, request.range) : await this.rangeOf(expr, request.range, step);
    if (target.format === 'table') {
      return [table(target, series, several)];
    }
    const frames = series.map((each) => line(target, expr, each, target.instant ? undefined : step));
    return target.format === 'heatmap' ? buckets(frames) : frames;
  }

  private async now(expr: string, range: TimeRange): Promise<Series[]> {
    const found = await ask('query', { query: expr, time: seconds(range.to) });
    return found.resultType === 'scalar' ? [{ metric: {}, value: found.result }] : found.result;
  }

  private async rangeOf(expr: string, range: TimeRange, step: number): Promise<Series[]> {
    const aligned = (time: number) => Math.floor(time / step) * (step / 1000);
    const start = aligned(range.from.valueOf());
    const end = aligned(range.to.valueOf());
    return (await ask('query_range', { query: expr, start, end, step: step / 1000 })).result;
  }

  /** Fill in variables and Grafana's macros. */
  private filled(text: string, scoped: ScopedVars | undefined, range: TimeRange, step: number): string {
    const length = Math.max(Math.round((range.to.valueOf() - range.from.valueOf()) / 1000), 1);
    const rate = Math.max(step + this.scrape, 4 * this.scrape);
    const macros: Record<string, string> = {
      __rate_interval: `${rate / 1000}s`,
      __interval: `${step / 1000}s`,
      __interval_ms: String(step),
      __range: `${length}s`,
      __range_s: String(length),
      __range_ms: String(length * 1000),
    };
    const own = Object.fromEntries(Object.entries(macros).map(([name, value]) => [name, { text: value, value }]));
    const scene = scoped?.__sceneObject?.value?.valueOf() ?? this.scene();
    return sceneGraph.interpolate(scene, text, { ...scoped, ...own }, asPattern as any);
  }
}

/** Several values, or those of a variable that may have several, become a regular expression within a PromQL string. */
function asPattern(value: string | string[], variable: { multi?: boolean; includeAll?: boolean }): string {
  if (typeof value === 'string' && !variable.multi && !variable.includeAll) {
    return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"');
  }
  const escape = (one: string) =>
    String(one).replace(/\\/g, '\\\\\\\\').replace(/[$^*{}[\]'+?.()|]/g, '\\\\$&').replace(/"/g, '\\"');
  const all = (Array.isArray(value) ? value : [value]).map(escape);
  return all.length === 1 ? all[0] : `(${all.join('|')})`;
}

async function ask(path: string, parameters: Record<string, string | number>): Promise<any> {
  const wanted = Object.entries(parameters).map(([name, value]) => [name, String(value)]);
  const answer = await fetch(`${API}/${path}?${new URLSearchParams(wanted)}`);
  const content = await answer.json().catch(() => ({ error: `HTTP ${answer.status}` }));
  if (content.status !== 'success') {
    throw new Error(content.error);
  }
  return content.data;
}

function line(target: Query, expr: string, series: Series, step?: number): DataFrame {
  const samples = series.values ?? (series.value ? [series.value] : []);
  const shown = nameOf(target.legendFormat, series.metric, expr);
  const time = { name: 'Time', type: FieldType.time, config: step ? { interval: step } : {}, values: samples.map(when) };
  const value = {
    name: 'Value',
    type: FieldType.number,
    labels: series.metric,
    config: shown ? { displayNameFromDS: shown } : {},
    values: samples.map(amount),
  };
  const type = step ? DataFrameType.TimeSeriesMulti : DataFrameType.NumericMulti;
  return { refId: target.refId, name: shown, meta: { type }, length: samples.length, fields: [time, value] };
}

/** Grafana's table format: a column for each label, one row for each sample. */
function table(target: Query, series: Series[], several: boolean): DataFrame {
  const rows = series.flatMap((each) => (each.values ?? [each.value!]).map((sample) => ({ metric: each.metric, sample })));
  const labels = [...new Set(series.flatMap((each) => Object.keys(each.metric).sort()))];
  const column = (name: string) => ({
    name,
    type: FieldType.string,
    config: { filterable: true },
    values: rows.map((row) => row.metric[name] ?? ''),
  });
  const fields = [
    { name: 'Time', type: FieldType.time, config: {}, values: rows.map((row) => when(row.sample)) },
    ...labels.map(column),
    {
      name: several ? `Value #${target.refId}` : 'Value',
      type: FieldType.number,
      config: {},
      values: rows.map((row) => amount(row.sample)),
    },
  ];
  return { refId: target.refId, meta: { preferredVisualisationType: 'table' }, length: rows.length, fields };
}

/** Turn cumulative buckets, ordered by their upper bounds, into those between two bounds. */
function buckets(frames: DataFrame[]): DataFrame[] {
  const bound = (frame: DataFrame) => amount([0, frame.fields[1].labels?.le ?? '+Inf'])!;
  const ordered = [...frames].sort((one, other) => bound(one) - bound(other));
  const cumulative = ordered.map((frame) => new Map(frame.fields[0].values.map((at, row) => [at, frame.fields[1].values[row]])));
  return ordered.map((frame, index) => {
    const below = cumulative[index - 1];
    const own = frame.fields[0].values.map((at) => Math.max(0, cumulative[index].get(at) - (below?.get(at) ?? 0)));
    return { ...frame, fields: [frame.fields[0], { ...frame.fields[1], values: own }] };
  });
}

function nameOf(legend: string | undefined, metric: Labels, expr: string): string {
  const labelled = Object.keys(metric).length > 0;
  if (!legend || legend === '__auto') {
    return labelled ? (legend === '__auto' ? '' : selector(metric)) : expr;
  }
  return named(legend, metric);
}

function named(format: string | undefined, metric: Labels): string {
  return (format ?? '').replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, label) => metric[label] ?? '');
}

function selector(metric: Labels): string {
  const { __name__: name = '', ...labels } = metric;
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${pairs.join(', ')}}`;
}

function resultText(series: Series): string {
  const [at, value] = series.value!;
  return `${selector(series.metric)} ${value} ${at * 1000}`;
}

function runs(samples: Sample[], step: number): Array<[number, number]> {
  const found: Array<[number, number]> = [];
  for (const [at, value] of samples) {
    const last = found[found.length - 1];
    if (Number(value) <= 0) {
      continue;
    }
    if (last && at - last[1] <= step) {
      last[1] = at;
    } else {
      found.push([at, at]);
    }
  }
  return found;
}

function duration(text: string): number {
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const parts = [...text.matchAll(/(\d+)(ms|[smhd])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit], 0);
}

const option = (text: string): MetricFindValue => ({ text, value: text });
const seconds = (time: { valueOf(): number }) => time.valueOf() / 1000;
const when = (sample: Sample) => sample[0] * 1000;

function amount(sample: Sample): number | null {
  const infinite: Record<string, number> = { '+Inf': Infinity, '-Inf': -Infinity };
  const value = infinite[sample[1]] ?? Number(sample[1]);
  return Number.isNaN(value) ? null : value;
}
