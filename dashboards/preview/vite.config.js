import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const nothing = fileURLToPath(new URL('src/nothing.ts', import.meta.url));

/** Icons and fonts are fetched while the page is shown, from where Grafana has them. */
const FONTS = {
  'inter/Inter-Regular.woff2': 'inter/files/inter-latin-400-normal.woff2',
  'inter/Inter-Italic.woff2': 'inter/files/inter-latin-400-italic.woff2',
  'inter/Inter-Medium.woff2': 'inter/files/inter-latin-500-normal.woff2',
  'roboto/L0xTDF4xlVMF-BfR8bXMIhJHg45mwgGEFl0_3vrtSM1J-gEPT5Ese6hmHSh0mQ.woff2':
    'roboto-mono/files/roboto-mono-latin-400-normal.woff2',
};
const publicFiles = {
  name: 'public-files',
  closeBundle() {
    cpSync('node_modules/@grafana/ui/dist/public', 'dist/public/build', { recursive: true });
    for (const [name, file] of Object.entries(FONTS)) {
      cpSync(`node_modules/@fontsource/${file}`, `dist/public/fonts/${name}`);
    }
  },
};

export default defineConfig({
  plugins: [publicFiles],
  base: './',
  resolve: {
    alias: [
      // Grafana's packages name a package between two versions of the router that nothing installs.
      { find: 'react-router-dom-v5-compat', replacement: 'react-router-dom' },
      // Nobody edits code here, and the editor is half of all that would be built.
      { find: /^(monaco-editor|react-monaco-editor)(\/.*)?$/, replacement: nothing },
    ],
  },
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}' },
  esbuild: { jsx: 'automatic' },
  build: {
    chunkSizeWarningLimit: 20000,
    sourcemap: false,
    rollupOptions: {
      // They also import names that their own dependencies no longer export.
      shimMissingExports: true,
      onwarn: (warning) => {
        if (warning.code === 'UNRESOLVED_IMPORT') {
          throw new Error(warning.message);
        }
      },
    },
  },
});
