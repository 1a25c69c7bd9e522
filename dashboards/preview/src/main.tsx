/** The page: one dashboard, chosen by the address, and above it what this is. */
import { DataSourceInstanceSettings, GrafanaTheme2, ThemeContext } from '@grafana/data';
import { EmbeddedScene } from '@grafana/scenes';
import { GlobalStyles, PortalContainer } from '@grafana/ui';
import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import { openRows, sceneOf } from './dashboard';
import { becomeGrafana } from './grafana';
import { registerPanels } from './panels';
import { Prometheus } from './prometheus';
import { Outcome, outcomes } from './report';

interface Known {
  uid: string;
  title: string;
  tags: string[];
}

declare global {
  interface Window {
    preview?: { outcomes(): Outcome[] | null; failed?: string };
  }
}

/** The one data source, as Grafana's settings would have it. */
const SETTINGS = {
  id: 1,
  uid: 'prometheus',
  name: 'Prometheus',
  type: 'prometheus',
  access: 'proxy',
  isDefault: true,
  readOnly: true,
  jsonData: {},
  meta: { id: 'prometheus', name: 'Prometheus', type: 'datasource', metrics: true, annotations: true, info: { logos: {} } },
};

async function main() {
  const address = new URLSearchParams(window.location.search);
  const source = new Prometheus(SETTINGS as unknown as DataSourceInstanceSettings, Number(address.get('scrape') ?? 15));
  const theme = await becomeGrafana(source, address.get('theme') === 'dark');
  registerPanels();
  const all: Known[] = await read('dashboards.json');
  const dashboard = await read(`dashboards/${address.get('dashboard') ?? all[0].uid}.json`);
  const scene = sceneOf(dashboard, address, SETTINGS.uid);
  source.scene = () => scene;
  document.body.style.margin = '0';
  document.title = `${dashboard.title} (preview)`;
  window.preview = { outcomes: () => outcomes(scene) }
  root.render(<Page scene={scene} theme={theme} dashboard={dashboard} all={all} open={address.get('rows') === 'open'} />);
}

interface Shown {
  theme: GrafanaTheme2;
  dashboard: any;
  all: Known[];
}

function Page({ scene, theme, dashboard, all, open }: Shown & { scene: EmbeddedScene; open: boolean }) {
  useEffect(() => {
    if (open) {
      openRows(scene);
    }
  }, [scene, open]);
  return (
    <MemoryRouter>
      <ThemeContext.Provider value={theme}>
        <GlobalStyles />
        <Head theme={theme} dashboard={dashboard} all={all} />
        <div style={{ padding: theme.spacing(2) }}>
          <scene.Component model={scene} />
        </div>
        <PortalContainer />
      </ThemeContext.Provider>
    </MemoryRouter>
  );
}

function Head({ theme, dashboard, all }: Shown) {
  const { colors, spacing } = theme;
  const tags: string[] = (dashboard.links ?? []).flatMap((link: any) => (link.type === 'dashboards' ? link.tags : []));
  const others = all.filter((each) => each.tags.some((tag) => tags.includes(tag)));
  const bar = {
    display: 'flex',
    alignItems: 'baseline',
    gap: spacing(3),
    padding: spacing(1, 2),
    background: colors.background.primary,
    borderBottom: `1px solid ${colors.border.weak}`,
  };
  return (
    <header style={bar}>
      <strong style={{ fontSize: 18 }}>{dashboard.title}</strong>
      {others.map((each) => (
        <a key={each.uid} href={`?${elsewhere(each.uid)}`} style={{ color: colors.text.link }}>
          {each.title}
        </a>
      ))}
      <span style={{ marginLeft: 'auto', color: colors.text.secondary }}>
        A preview with Grafana’s panel code, not Grafana itself. Heatmaps are not drawn.
      </span>
    </header>
  );
}

/** Return the address of another dashboard, with the variables and the time of this one. */
function elsewhere(uid: string): string {
  const address = new URLSearchParams(window.location.search);
  address.set('dashboard', uid);
  return address.toString();
}

async function read(path: string): Promise<any> {
  const answer = await fetch(path);
  if (!answer.ok) {
    throw new Error(`${path}: HTTP ${answer.status}`);
  }
  return answer.json();
}

const root = createRoot(document.getElementById('root')!);

window.addEventListener('error', (event) => fail(event.message));
main().catch(fail);

function fail(reason: unknown) {
  window.preview = { outcomes: () => null, failed: String(reason) };
  root.render(<pre>{String(reason)}</pre>);
}
