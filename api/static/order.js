// Keeps an order's page as the order is: told by the server, or else by asking every few seconds.
"use strict";

const POLL_MS = 5000;
const main = document.querySelector("main[data-part]");

async function update() {
  const answer = await fetch(main.dataset.part, { headers: { Accept: "text/html" } });
  if (!answer.ok) return false;
  const part = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.getAttribute("href");
  main.replaceChildren(...part.body.childNodes);
  if (focused) main.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  document.title = document.title.replace(/^[^·]*?(?= · |$)/, main.querySelector("h1").textContent);
  return answer.headers.get("X-Order-Over") === "true";
}

function poll() {
  setTimeout(async () => {
    let over = false;
    try {
      over = await update();
    } catch {
      // The network is away: the next one may come through.
    }
    if (!over) poll();
  }, POLL_MS);
}

function listen() {
  const events = new EventSource(main.dataset.events);
  events.addEventListener("changed", () => update().catch(() => {}));
  events.addEventListener("over", () => {
    events.close();
    update().catch(() => {});
  });
  events.addEventListener("error", () => {
    // While it connects again by itself there is nothing to do; one that was refused is over.
    if (events.readyState === EventSource.CLOSED) poll();
  });
}

if (main) {
  if ("EventSource" in window) listen();
  else poll();
}
