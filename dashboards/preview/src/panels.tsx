/** The kinds of panel that the dashboards use, drawn by the components of @grafana/ui that Grafana draws them with. */
import {
  cacheFieldDisplayNames,
  DataFrame,
  FieldColorModeId,
  FieldConfigProperty,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  identityOverrideProcessor,
  PanelPlugin,
  PanelProps,
  renderTextPanelMarkdown,
} from '@grafana/data';
import { sceneUtils } from '@grafana/scenes';
import { BarGauge, BigValue, TimeSeries, TooltipDisplayMode, useTheme2, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { useMemo } from 'react';
import { marks } from './marks';

/** What Grafana's time series panel sets where a dashboard says nothing. */
const LINES: Record<string, unknown> = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  barAlignment: 0,
  barWidthFactor: 0.6,
  barMaxWidth: undefined,
  lineWidth: 1,
  lineStyle: undefined,
  lineColor: undefined,
  fillOpacity: 0,
  fillColor: undefined,
  fillBelowTo: undefined,
  gradientMode: 'none',
  showPoints: 'auto',
  showValues: false,
  pointSize: 5,
  pointColor: undefined,
  pointSymbol: undefined,
  spanNulls: false,
  insertNulls: false,
  stacking: { mode: 'none', group: 'A' },
  transform: undefined,
  axisPlacement: 'auto',
  axisColorMode: 'text',
  axisBorderShow: false,
  axisLabel: '',
  axisWidth: undefined,
  axisGridShow: undefined,
  axisSoftMin: undefined,
  axisSoftMax: undefined,
  axisCenteredZero: false,
  scaleDistribution: { type: 'linear' },
  thresholdsStyle: { mode: 'off' },
  hideFrom: { tooltip: false, viz: false, legend: false },
};

const CELLS: Record<string, unknown> = {
  width: undefined,
  minWidth: undefined,
  align: 'auto',
  cellOptions: { type: 'auto' },
  wrapText: undefined,
  wrapHeaderText: undefined,
  filterable: undefined,
  inspect: undefined,
  hidden: undefined,
  hideFrom: undefined,
  footer: undefined,
  tooltip: undefined,
};

const REDUCED = { reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '' }, orientation: 'auto' };

/** The kinds that are left out: their code is in no package, only in Grafana itself. */
const NOT_DRAWN = ['heatmap', 'state-timeline', 'status-history', 'gauge', 'piechart', 'histogram'];

/** Let dashboards have these panels. */
export function registerPanels() {
  const palette = { [FieldConfigProperty.Color]: { defaultValue: { mode: FieldColorModeId.PaletteClassic } } };
  register('timeseries', Lines, LINES, palette, true);
  register('stat', Stat, {}, {});
  register('bargauge', Bars, {}, {});
  register('table', Cells, CELLS, {});
  register('text', Text, {}, {});
  NOT_DRAWN.forEach((kind) => register(kind, notDrawn(kind), {}, {}));
}

function register(pluginId: string, panel: any, custom: Record<string, unknown>, standard: any, annotated = false) {
  const plugin = new PanelPlugin<any, any>(panel).useFieldConfig({
    standardOptions: standard,
    useCustomConfig: (builder) =>
      Object.entries(custom).forEach(([path, defaultValue]) =>
        builder.addCustomEditor({
          id: path,
          path,
          name: path,
          defaultValue,
          editor: () => null,
          override: () => null,
          process: identityOverrideProcessor,
          shouldApply: () => true,
        })
      ),
  });
  plugin.setDataSupport({ annotations: annotated, alertStates: false });
  if (pluginId === 'text') {
    plugin.meta = { ...plugin.meta, skipDataQuery: true };
  }
  sceneUtils.registerRuntimePanelPlugin({ pluginId, plugin });
}

function Lines({ data, timeRange, timeZone, width, height, options, fieldConfig }: PanelProps) {
  const frames = data.series.filter((frame) => frame.length > 0 && frame.fields.some(isNumber));
  if (frames.length === 0) {
    return <Empty text={fieldConfig.defaults.noValue} />;
  }
  return (
    <TimeSeries
      frames={frames}
      structureRev={data.structureRev}
      timeRange={timeRange}
      timeZone={timeZone}
      width={width}
      height={height}
      legend={options.legend}
      options={{ ...options, tooltip: options.tooltip ?? { mode: TooltipDisplayMode.Multi } } as any}
    >
      {(config: any, aligned: DataFrame) => marks(config, aligned, data.annotations ?? [], options.tooltip, timeZone)}
    </TimeSeries>
  );
}

function Stat(props: PanelProps) {
  const { options } = props;
  const theme = useTheme2();
  const values = useValues(props, true);
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, alignmentFactors, count }: any) => (
        <BigValue
          value={value.display}
          count={count}
          sparkline={options.graphMode === 'none' ? undefined : value.sparkline}
          colorMode={options.colorMode}
          graphMode={options.graphMode}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          disableWideLayout={!options.wideLayout}
          alignmentFactors={alignmentFactors}
          text={options.text}
          width={width}
          height={height}
          theme={theme}
        />
      )}
      width={props.width}
      height={props.height}
      source={props.data}
      itemSpacing={3}
      autoGrid
      renderCounter={props.renderCounter}
      orientation={options.orientation}
    />
  );
}

function Bars(props: PanelProps) {
  const { options } = props;
  const theme = useTheme2();
  const values = useValues(props, false);
  const own = options.sizing === 'manual';
  return (
    <VizRepeater
      getValues={values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={({ value, width, height, orientation, alignmentFactors, isOverflow }: any) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex)}
          orientation={orientation}
          displayMode={options.displayMode}
          valueDisplayMode={options.valueMode}
          namePlacement={options.namePlacement}
          showUnfilled={options.showUnfilled}
          alignmentFactors={alignmentFactors}
          text={options.text}
          width={width}
          height={height}
          itemSpacing={10}
          lcdCellWidth={options.displayMode === 'basic' ? 12 : 8}
          isOverflow={isOverflow ?? false}
          theme={theme}
        />
      )}
      width={props.width}
      height={props.height}
      source={props.data}
      itemSpacing={10}
      minVizWidth={own ? options.minVizWidth : 8}
      minVizHeight={own ? options.minVizHeight : 16}
      maxVizHeight={own ? options.maxVizHeight : 300}
      renderCounter={props.renderCounter}
      orientation={options.orientation}
    />
  );
}

function useValues({ data, options, fieldConfig, replaceVariables, timeZone }: PanelProps, sparkline: boolean) {
  const theme = useTheme2();
  return () =>
    getFieldDisplayValues({
      fieldConfig,
      reduceOptions: { ...REDUCED.reduceOptions, ...options.reduceOptions },
      replaceVariables,
      theme,
      data: data.series,
      sparkline,
      timeZone,
    });
}

function Cells({ data, options, width, height, fieldConfig, timeRange }: PanelProps) {
  useMemo(() => cacheFieldDisplayNames(data.series), [data.series]);
  const frame = data.series[options.frameIndex ?? 0] ?? data.series[0];
  if (!frame || frame.fields.length === 0 || frame.length === 0) {
    return <Empty text={fieldConfig.defaults.noValue} />;
  }
  return (
    <TableNG
      data={frame}
      width={width}
      height={height}
      noHeader={!options.showHeader}
      cellHeight={options.cellHeight}
      initialSortBy={options.sortBy}
      structureRev={data.structureRev}
      timeRange={timeRange}
      fieldConfig={fieldConfig}
      enableVirtualization
      resizable
    />
  );
}

function Text({ options, replaceVariables }: PanelProps) {
  const text = replaceVariables(options.content ?? '');
  const html = options.mode === 'html' ? text : renderTextPanelMarkdown(text);
  return <div className="markdown-html" dangerouslySetInnerHTML={{ __html: html }} />;
}

function notDrawn(kind: string) {
  return () => <Empty text={`${kind}: not drawn in the preview`} />;
}

function Empty({ text }: { text?: string }) {
  const { colors } = useTheme2();
  const middle = { display: 'flex', alignItems: 'center', justifyContent: 'center', height: '100%', width: '100%' };
  return <div style={{ ...middle, color: colors.text.secondary }}>{text || 'No data'}</div>;
}

const isNumber = (field: { type: FieldType }) => field.type === FieldType.number;
