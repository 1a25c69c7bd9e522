/** What Grafana's packages expect their application to have set: one function for all of it. */
import {
  booleanOverrideProcessor,
  createTheme,
  DataQueryRequest,
  DataSourceApi,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  EventBusSrv,
  FieldColorModeId,
  identityOverrideProcessor,
  LoadingState,
  locationUtil,
  numberOverrideProcessor,
  PanelData,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  ThresholdsMode,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import * as runtime from '@grafana/runtime';
import { sceneGraph } from '@grafana/scenes';
import { createElement } from 'react';
import { catchError, map, Observable, of, startWith } from 'rxjs';

/** Set everything up for one data source and one theme. */
export async function becomeGrafana(source: DataSourceApi, dark: boolean) {
  await initPluginTranslations('grafana-scenes');
  const theme = createTheme({ colors: { mode: dark ? 'dark' : 'light' } });
  const boot = { user: { timezone: 'utc' }, settings: { featureToggles: {} } };
  Object.assign(runtime.config, { theme2: theme, appSubUrl: '', bootData: boot });
  Object.assign(window, { __grafana_public_path__: 'public/', grafanaBootData: boot });
  standardFieldConfigEditorRegistry.setInit(standardOptions as any);
  standardTransformersRegistry.setInit(transformers as any);
  runtime.setAppEvents(new EventBusSrv() as any);
  runtime.setRunRequest(runRequest as any);
  runtime.setDataSourceSrv(sources(source) as any);
  runtime.setTemplateSrv(templates(source as any) as any);
  runtime.setPluginImportUtils({
    importPanelPlugin: (id: string) => Promise.reject(new Error(`no panel ${id}`)),
    getPanelPluginFromCache: () => undefined,
  } as any);
  const noVariables = { getVariablesUrlParams: () => ({}), getTimeRangeForUrl: () => ({ from: 'now-1h', to: 'now' }) };
  locationUtil.initialize({ config: runtime.config as any, ...(noVariables as any) });
  return theme;
}

/** Ask a data source, and tell of the question at once and of the answer or the error later. */
function runRequest(source: DataSourceApi, request: DataQueryRequest): Observable<PanelData> {
  const asked = { series: [], timeRange: request.range, request };
  return (source.query(request) as Observable<any>).pipe(
    map((answer) => ({ ...asked, state: LoadingState.Done, series: answer.data })),
    catchError((error) => {
      const told = { message: error.message, refId: request.targets[0]?.refId };
      return of({ ...asked, state: LoadingState.Error, error: told, errors: [told] });
    }),
    startWith({ ...asked, state: LoadingState.Loading })
  ) as Observable<PanelData>;
}

function sources(source: any) {
  const settings = source.instanceSettings ?? { ...source.meta, uid: source.uid, name: source.name, type: source.type };
  return {
    get: async () => source,
    getList: () => [settings],
    getInstanceSettings: () => settings,
    registerRuntimeDataSource: () => undefined,
    reload: () => undefined,
  };
}

function templates(source: { scene(): any }) {
  return {
    replace: (text: string, scoped: any, format: any) => sceneGraph.interpolate(source.scene(), text, scoped, format),
    containsTemplate: (text?: string) => /\$\{?\w/.test(text ?? ''),
    getVariables: () => [],
    updateTimeRange: () => undefined,
  };
}

function transformers() {
  const known = new Map(Object.values(standardTransformers).map((each: any) => [each.id, each]));
  return [...known.values()].map((each) => ({ id: each.id, name: each.name, transformation: each, editor: Nothing }));
}

/** The options that every field has; Grafana keeps their list in its application. */
function standardOptions() {
  const row = (id: string, process: unknown, defaultValue?: unknown) => ({
    id,
    path: id,
    name: id,
    editor: Nothing,
    override: Nothing,
    process,
    shouldApply: () => true,
    settings: {},
    defaultValue,
  });
  const steps = [
    { value: -Infinity, color: 'green' },
    { value: 80, color: 'red' },
  ];
  return [
    row('displayName', displayNameOverrideProcessor),
    row('unit', unitOverrideProcessor),
    row('min', numberOverrideProcessor),
    row('max', numberOverrideProcessor),
    row('fieldMinMax', booleanOverrideProcessor),
    row('decimals', numberOverrideProcessor),
    row('noValue', stringOverrideProcessor),
    row('color', identityOverrideProcessor, { mode: FieldColorModeId.Thresholds }),
    row('thresholds', thresholdsOverrideProcessor, { mode: ThresholdsMode.Absolute, steps }),
    row('mappings', valueMappingsOverrideProcessor, []),
    row('links', dataLinksOverrideProcessor),
    row('actions', dataLinksOverrideProcessor),
    row('filterable', booleanOverrideProcessor),
  ];
}

function Nothing() {
  return createElement('span');
}
