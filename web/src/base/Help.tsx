// All keys that are valid now.

import { helpIsOpen, keyName, knownKeys } from "./keys.js";

export function Help() {
  if (!helpIsOpen.value) return null;
  const close = () => {
    helpIsOpen.value = false;
  };
  return (
    <div class="veil" onClick={close}>
      <div class="help" role="dialog" aria-label="keys" onClick={(event) => event.stopPropagation()}>
        <header>
          <h2>Keys</h2>
          <button type="button" class="quiet" onClick={close} aria-label="close">
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
    </div>
  );
}
