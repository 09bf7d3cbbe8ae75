/** Line icons, 24 by 24; all are beside words or a label, so readers pass over them. */

const PATHS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M12 19V5M5 12l7-7 7 7',
  stop: 'M7 7h10v10H7z',
  close: 'M6 6l12 12M18 6L6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  panel: 'M4 5h16v14H4zM10 5v14',
  pen: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12l5 5L20 7',
  retry: 'M4 12a8 8 0 1 0 3-6.2M4 4v4h4',
  play: 'M8 5l11 7-11 7z',
  next: 'M5 12h14M13 6l6 6-6 6',
  left: 'M15 6l-6 6 6 6',
  right: 'M9 6l6 6-6 6',
  sliders: 'M4 8h9M17 8h3M15 6v4M4 16h3M11 16h9M9 14v4',
  microphone: 'M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3',
  camera: 'M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z',
  screen: 'M3 5h18v12H3zM8 21h8M12 17v4',
  clip: 'M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.700 4.700L9.200 17.200a1.700 1.700 0 0 1-2.400-2.400L14.500 7',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.500 4.500',
  warning: 'M12 4l9 16H3zM12 10v4M12 17v.5',
  save: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  open: 'M12 16V5M7 9l5-5 5 5M5 20h14',
  turn: 'M20 12a8 8 0 1 1-3-6.200M20 4v4h-4',
  crop: 'M7 2v15h15M2 7h15v15',
  text: 'M5 6h14M12 6v13',
  file: 'M7 3h7l4 4v14H7zM14 3v4h4',
  sound: 'M4 10v4M8 7v10M12 4v16M16 8v8M20 10v4',
  film: 'M4 5h16v14H4zM8 5v14M16 5v14M4 12h16',
  tool: 'M14 7a4 4 0 0 1 5-4l-2.500 2.500 2 2L21 5a4 4 0 0 1-5.500 4.500L8 17l-2.500 2.500-2-2L6 15l7.500-7.500',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600L19 19M5 19l1.400-1.400M17.600 6.400L19 5',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function IconButton(
  { icon, label, onClick, pressed, disabled, kind = 'quiet', reached = true }:
  { icon: IconName; label: string; onClick: () => void; pressed?: boolean; disabled?: boolean; kind?: string; reached?: boolean },
) {
  return (
    <button type="button" class={`icon-button ${kind}`} aria-label={label} title={label} aria-pressed={pressed} disabled={disabled} tabIndex={reached ? 0 : -1} onClick={onClick}>
      <Icon name={icon} />
    </button>
  );
}
