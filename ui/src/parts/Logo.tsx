/** The mark: a strip of film and the light that a projector sends through it; together a K. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <defs>
        <linearGradient id="logo-beam" x1="11" x2="31" y1="16" y2="16" gradientUnits="userSpaceOnUse">
          <stop offset="0" stopColor="var(--light-deep)" stopOpacity="0.95" />
          <stop offset="1" stopColor="var(--light-deep)" stopOpacity="0.15" />
        </linearGradient>
      </defs>
      <path d="M11 16 28 2v28z" fill="url(#logo-beam)" />
      <path d="M3 2h5v28H3z" fill="currentColor" />
      <path d="M11 16 26 2h6L15 16l17 14h-6z" fill="var(--light)" />
    </svg>
  );
}
