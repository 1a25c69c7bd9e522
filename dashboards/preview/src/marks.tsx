/** What lies over the lines of a graph: annotations, and the values under the pointer. */
import { DataFrame, TimeZone } from '@grafana/data';
import { config as grafana } from '@grafana/runtime';
import { TooltipPlugin, UPlotConfigBuilder } from '@grafana/ui';

const watched = new WeakMap<UPlotConfigBuilder, { frames: DataFrame[] }>();

/** Draw annotations below the lines (once a graph's configuration, however often it is rendered), and a tooltip. */
export function marks(config: UPlotConfigBuilder, aligned: DataFrame, frames: DataFrame[], tooltip: any, timeZone: TimeZone) {
  const known = watched.get(config);
  if (known) {
    known.frames = frames;
  } else {
    const latest = { frames };
    watched.set(config, latest);
    config.addHook('drawClear', (plot: any) => latest.frames.forEach((frame) => draw(plot, frame)));
  }
  const mode = tooltip?.mode ?? 'multi';
  return <TooltipPlugin data={aligned} config={config} mode={mode} sortOrder={tooltip?.sort} timeZone={timeZone} />;
}

function draw(plot: any, frame: DataFrame) {
  const column = (name: string) => frame.fields.find((field) => field.name === name)?.values ?? [];
  const [begins, ends, colours] = [column('time'), column('timeEnd'), column('color')];
  const { ctx: pen, bbox } = plot;
  pen.save();
  pen.beginPath();
  pen.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  pen.clip();
  begins.forEach((begin: number, row: number) => {
    const colour = grafana.theme2.visualization.getColorByName(colours[row] ?? 'red');
    const left = plot.valToPos(begin, 'x', true);
    const right = plot.valToPos(ends[row] ?? begin, 'x', true);
    pen.globalAlpha = 0.1;
    pen.fillStyle = colour;
    pen.fillRect(left, bbox.top, right - left, bbox.height);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour;
    pen.setLineDash([5, 5]);
    pen.beginPath();
    pen.moveTo(left, bbox.top);
    pen.lineTo(left, bbox.top + bbox.height);
    pen.stroke();
  });
  pen.restore();
}
