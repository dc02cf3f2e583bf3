/** The mark: a strip of film and the light that a projector sends through it; together a K. */
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <defs>
        <linearGradient id="logo-beam" x1="12" x2="28" y1="16" y2="16" gradientUnits="userSpaceOnUse">
          <stop offset="0" stopColor="var(--light-strong)" />
          <stop offset="1" stopColor="var(--light-deep)" />
        </linearGradient>
      </defs>
      <rect x="4" y="4" width="5" height="24" rx="1" fill="currentColor" />
      <path d="M11.5 16 28 4v24z" fill="url(#logo-beam)" />
    </svg>
  );
}
