/** A dashboard as its JSON has it, made into a scene: variables, annotations, rows, panels with their queries. */
import { DataLink, PanelModel } from '@grafana/data';
import { IconButton } from '@grafana/ui';
import {
  behaviors,
  ConstantVariable,
  CustomVariable,
  dataLayers,
  DataSourceVariable,
  EmbeddedScene,
  QueryVariable,
  SceneControlsSpacer,
  SceneDataLayerSet,
  SceneDataTransformer,
  SceneGridItem,
  SceneGridLayout,
  SceneGridRow,
  SceneQueryRunner,
  SceneRefreshPicker,
  SceneTimePicker,
  SceneTimeRange,
  SceneVariable,
  SceneVariableSet,
  sceneUtils,
  TextBoxVariable,
  VariableValueSelectors,
  VizPanel,
} from '@grafana/scenes';

/** Make a scene of a dashboard; what the address says of variables and time goes before what the JSON says. */
export function sceneOf(dashboard: any, address: URLSearchParams, source: string): EmbeddedScene {
  const time = { from: dashboard.time?.from ?? 'now-1h', to: dashboard.time?.to ?? 'now' };
  const annotations = (dashboard.annotations?.list ?? []).filter((each: any) => each.expr);
  const scene = new EmbeddedScene({
    $timeRange: new SceneTimeRange({ ...time, timeZone: 'utc' }),
    $variables: new SceneVariableSet({ variables: (dashboard.templating?.list ?? []).map((each: any) => variable(each, source)) }),
    $data: new SceneDataLayerSet({ layers: annotations.map(annotation) }),
    $behaviors: [new behaviors.CursorSync({ sync: dashboard.graphTooltip ?? 0 })],
    controls: [
      new VariableValueSelectors({}),
      new SceneControlsSpacer(),
      new SceneTimePicker({}),
      new SceneRefreshPicker({}),
    ],
    body: new SceneGridLayout({ children: rows(dashboard.panels ?? []), isDraggable: false, isResizable: false }),
  });
  sceneUtils.syncStateFromSearchParams(scene, address);
  return scene;
}

/** Open every row that is closed, so that all panels are asked and seen. */
export function openRows(scene: EmbeddedScene) {
  const layout = scene.state.body as SceneGridLayout;
  layout.state.children
    .filter((child): child is SceneGridRow => child instanceof SceneGridRow && Boolean(child.state.isCollapsed))
    .forEach((row) => layout.toggleRow(row));
}

function variable(model: any, source: string): SceneVariable {
  const known = { name: model.name, label: model.label, hide: model.hide ?? 0, description: model.description };
  const chosen = { value: model.current?.value ?? '', text: model.current?.text ?? '' };
  const several = {
    isMulti: Boolean(model.multi),
    includeAll: Boolean(model.includeAll),
    allValue: model.allValue || undefined,
    defaultToAll: Boolean(model.includeAll),
  };
  switch (model.type) {
    case 'datasource':
      return new DataSourceVariable({ ...known, pluginId: model.query, regex: model.regex, value: source, text: source });
    case 'query':
      return new QueryVariable({
        ...known,
        ...several,
        ...chosen,
        datasource: model.datasource,
        query: model.query,
        regex: model.regex ?? '',
        sort: model.sort ?? 0,
        refresh: model.refresh ?? 1,
      });
    case 'custom':
      return new CustomVariable({ ...known, ...several, ...chosen, query: model.query });
    case 'constant':
      return new ConstantVariable({ ...known, value: model.query });
    case 'textbox':
      return new TextBoxVariable({ ...known, value: model.query ?? '' });
    default:
      throw new Error(`the preview does not know variables of type ${model.type}`);
  }
}

function annotation(query: any) {
  return new dataLayers.AnnotationsDataLayer({ name: query.name, isEnabled: query.enable, isHidden: query.hide, query });
}

/** A row owns the panels after it; one that is closed has them inside already. */
function rows(panels: any[]) {
  const children: Array<SceneGridRow | SceneGridItem> = [];
  let open: SceneGridItem[] | undefined;
  for (const model of panels) {
    if (model.type === 'row') {
      const inside = (model.panels ?? []).map(panel);
      open = model.collapsed ? undefined : inside;
      children.push(row(model, inside));
    } else if (open) {
      open.push(panel(model));
    } else {
      children.push(panel(model));
    }
  }
  return children;
}

function row(model: any, children: SceneGridItem[]) {
  const place = { key: `panel-${model.id}`, y: model.gridPos.y };
  return new SceneGridRow({ ...place, title: model.title, isCollapsed: Boolean(model.collapsed), children });
}

function panel(model: any): SceneGridItem {
  const { x, y, w: width, h: height } = model.gridPos;
  return new SceneGridItem({ key: `item-${model.id}`, x, y, width, height, body: drawn(model) });
}

function drawn(model: PanelModel & Record<string, any>) {
  const asked = new SceneQueryRunner({
    datasource: model.datasource ?? undefined,
    queries: model.targets ?? [],
    maxDataPoints: model.maxDataPoints ?? undefined,
    minInterval: model.interval ?? undefined,
  });
  return new VizPanel({
    key: `panel-${model.id}`,
    pluginId: model.type,
    title: model.title ?? '',
    description: model.description,
    options: model.options ?? {},
    fieldConfig: model.fieldConfig ?? { defaults: {}, overrides: [] },
    displayMode: model.transparent ? 'transparent' : 'default',
    titleItems: model.links?.length ? <Links links={model.links} /> : undefined,
    $data: model.type === 'text' ? undefined : new SceneDataTransformer({ $data: asked, transformations: model.transformations ?? [] }),
  });
}

function Links({ links }: { links: DataLink[] }) {
  const open = (link: DataLink) => window.open(link.url, link.targetBlank ? '_blank' : '_self');
  return (
    <span style={{ display: 'inline-flex', gap: 4 }}>
      {links.map((link) => (
        <IconButton key={link.title} name="external-link-alt" size="sm" tooltip={link.title} onClick={() => open(link)} />
      ))}
    </span>
  );
}
