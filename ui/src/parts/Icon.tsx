/** The line icons of the app; always beside or inside something that has a name, so hidden from assistive tools. */
const shapes = {
  play: <path d="M7 4.5v15l12.5-7.5z" fill="currentColor" stroke="none" />,
  pause: <path d="M7 5h3.5v14H7zM13.5 5H17v14h-3.5z" fill="currentColor" stroke="none" />,
  back: <path d="M15 5l-7 7 7 7" />,
  volume: <path d="M4 9.5v5h3.5L12 19V5L7.5 9.500zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11" />,
  muted: <path d="M4 9.500v5h3.500L12 19V5L7.5 9.500zM16 9.500l5 5M21 9.500l-5 5" />,
  quality: <path d="M4 7h9M17 7h3M4 12h3M11 12h9M4 17h11M19 17h1M15 5v4M9 10v4M17 15v4" />,
  speed: <path d="M4.5 17a8.5 8.5 0 1 1 15 0M12 14l4-4.5" />,
  window: <path d="M4 5h16v14H4zM12.5 12.500H18V17h-5.500z" />,
  full: <path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5" />,
  small: <path d="M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5" />,
  keys: <path d="M3 7h18v10H3zM7 10.500h.01M11 10.500h.01M15 10.500h.01M8 14h8" />,
  upload: <path d="M12 16V4M7 9l5-5 5 5M4 16v4h16v-4" />,
  close: <path d="M6 6l12 12M18 6L6 18" />,
  retry: <path d="M20 12a8 8 0 1 1-2.5-5.800M20 4v5h-5" />,
  check: <path d="M5 12.500l4.5 4.500L19 7" />,
  copy: <path d="M9 9h11v11H9zM5 15H4V4h11v1" />,
};

export type IconName = keyof typeof shapes;

export function Icon({ name, size = 22 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.7"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {shapes[name]}
    </svg>
  );
}
