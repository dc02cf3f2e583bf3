import { useEffect, useId, useRef, useState, type KeyboardEvent } from "react";

import { Icon, type IconName } from "../parts/Icon";
import buttons from "../parts/button.module.css";
import styles from "./menu.module.css";

export interface Choice {
  id: string;
  label: string;
  note?: string;
}

interface ChoiceMenuProps {
  name: string;
  icon: IconName;
  /** The prefix of the test ids: `{testId}-button`, `{testId}-menu`, `{testId}-option`. */
  testId: string;
  choices: Choice[];
  current: string;
  onChoose: (id: string) => void;
  onOpenChange: (open: boolean) => void;
}

/** A button with a menu of which one thing is chosen: Up and Down go through it, Enter chooses, Escape closes. */
export function ChoiceMenu({ name, icon, testId, choices, current, onChoose, onOpenChange }: ChoiceMenuProps) {
  const [open, setOpen] = useState(false);
  const menuId = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);

  const show = (shown: boolean) => {
    setOpen(shown);
    onOpenChange(shown);
  };
  const close = () => {
    show(false);
    button.current?.focus();
  };

  useEffect(() => {
    if (open) menu.current?.querySelector<HTMLElement>("[aria-checked=true]")?.focus();
  }, [open]);

  useEffect(() => {
    if (!open) return undefined;
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && root.current?.contains(event.target)) return;
      setOpen(false);
      onOpenChange(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open, onOpenChange]);

  const onKeyDown = (event: KeyboardEvent) => {
    const items = [...(menu.current?.querySelectorAll<HTMLElement>("[role=menuitemradio]") ?? [])];
    const at = items.findIndex((item) => item === document.activeElement);
    const goTo = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    event.stopPropagation();
    if (event.key === "Escape") close();
    else if (event.key === "Tab") show(false);
    else if (goTo !== undefined) items[(goTo + items.length) % items.length]?.focus();
    else return;
    if (event.key !== "Tab") event.preventDefault();
  };

  return (
    <div className={styles.root} ref={root}>
      <button
        ref={button}
        type="button"
        className={buttons.icon}
        aria-label={name}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? menuId : undefined}
        data-testid={`${testId}-button`}
        onClick={() => show(!open)}
      >
        <Icon name={icon} />
      </button>
      {open && (
        <div
          ref={menu}
          id={menuId}
          role="menu"
          tabIndex={-1}
          aria-label={name}
          className={styles.menu}
          data-testid={`${testId}-menu`}
          onKeyDown={onKeyDown}
        >
          {choices.map((choice) => (
            <button
              key={choice.id}
              type="button"
              role="menuitemradio"
              tabIndex={-1}
              aria-checked={choice.id === current}
              className={styles.option}
              data-testid={`${testId}-option`}
              data-value={choice.id}
              onClick={() => {
                onChoose(choice.id);
                close();
              }}
            >
              <span className={styles.tick}>{choice.id === current && <Icon name="check" size={18} />}</span>
              {choice.label}
              {choice.note && <span className={styles.note}>{choice.note}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
