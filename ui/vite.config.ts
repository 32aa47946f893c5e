import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The build is committed in the query server's package, so that installing opslog needs no Node.
// Relative URLs work under any path prefix; nothing is inlined, because the content security policy
// allows neither inline code nor data: URLs.
export default defineConfig({
  base: './',
  plugins: [react(), tailwindcss()],
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    outDir: '../query/static',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2023',
    reportCompressedSize: false,
  },
  test: { environment: 'node', include: ['tests/**/*.test.ts'] },
})
