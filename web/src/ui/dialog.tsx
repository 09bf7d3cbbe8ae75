/** A modal dialog: the browser's own, which holds the focus and closes with Escape. */

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { IconButton } from './icons';

export function Dialog(
  { title, onClose, children, wide = false }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean },
) {
  const place = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const dialog = place.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={place} class={wide ? 'wide' : ''} aria-labelledby={name} onCancel={(event) => { event.preventDefault(); onClose(); }}
      onMouseDown={(event) => { if (event.target === place.current) onClose(); }}
    >
      <div class="dialog-body">
        <header>
          <h2 id={name}>{title}</h2>
          <IconButton icon="close" label="Close" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
