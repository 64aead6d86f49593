// All keys that are valid now.

import { useEffect, useRef } from "preact/hooks";
import { helpIsOpen, keyName, knownKeys } from "./keys.js";

export function Help() {
  const box = useRef<HTMLDialogElement>(null);
  const isOpen = helpIsOpen.value;
  useEffect(() => {
    if (isOpen) box.current?.showModal();
    else box.current?.close();
  }, [isOpen]);
  const close = () => {
    helpIsOpen.value = false;
  };
  return (
    <dialog
      aria-label="keys"
      ref={box}
      onClose={close}
      onClick={(event) => event.target === box.current && close()}
    >
      {isOpen && <Keys close={close} />}
    </dialog>
  );
}

function Keys(props: { close: () => void }) {
  return (
    <div class="help">
      <header>
        <h2>Keys</h2>
        <button type="button" class="quiet" onClick={props.close} aria-label="close">
          ✕
        </button>
      </header>
      {[...knownKeys.value].map(([title, keys]) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {keys.map((key) => (
              <div key={key.key}>
                <dt>
                  <kbd>{keyName(key.key)}</kbd>
                </dt>
                <dd>{key.words}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </div>
  );
}
