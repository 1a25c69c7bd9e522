/** What became of every panel: asked by whoever takes pictures, through `window.preview`. */
import { LoadingState } from '@grafana/data';
import { EmbeddedScene, sceneGraph, SceneQueryRunner, VizPanel } from '@grafana/scenes';

export interface Outcome {
  panel: string;
  kind: string;
  state: 'ok' | 'empty' | 'error';
  message: string;
}

/** Return one outcome for each panel, or nothing while any of them, or a variable, still waits for an answer. */
export function outcomes(scene: EmbeddedScene): Outcome[] | null {
  const variables = sceneGraph.getVariables(scene);
  if (variables.state.variables.some((each) => variables.isVariableLoadingOrWaitingToUpdate(each))) {
    return null;
  }
  const panels = sceneGraph.findAllObjects(scene, (each) => each instanceof VizPanel && each.isActive) as VizPanel[];
  const found = panels.map(outcome);
  return found.length && found.every(Boolean) ? (found as Outcome[]) : null;
}

function outcome(panel: VizPanel): Outcome | null {
  const known = { panel: panel.state.title, kind: panel.state.pluginId, message: '' };
  if (panel.state._pluginLoadError) {
    return { ...known, state: 'error', message: panel.state._pluginLoadError };
  }
  const box = document.querySelector(`[data-viz-panel-key="${panel.state.key}"]`);
  const alert = box?.querySelector('[role="alert"]');
  if (alert) {
    return { ...known, state: 'error', message: alert.textContent ?? '' };
  }
  if (!panel.state.$data) {
    return { ...known, state: 'ok' };
  }
  const raw = sceneGraph.findObject(panel.state.$data, (each) => each instanceof SceneQueryRunner) as SceneQueryRunner;
  const data = panel.state.$data.state.data;
  if (!data || !raw?.state.data || raw.state.data.state === LoadingState.Loading || data.state === LoadingState.Loading) {
    return null;
  }
  const errors = data.errors ?? (data.error ? [data.error] : []);
  if (errors.length) {
    return { ...known, state: 'error', message: errors.map((each) => each.message).join('; ') };
  }
  return { ...known, state: data.series.some((frame) => frame.length > 0) ? 'ok' : 'empty' };
}
