import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const region = process.env.KINEMA_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // The page is served under a policy that allows no data: addresses for fonts and scripts.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800,
    rolldownOptions: { checks: { bundlerTimings: false } },
  },
  worker: { format: "es" },
  server: { proxy: { "/v1": { target: region } } },
});
