// Everything here betters a page that works without it; only the passkey ceremonies need it.
const able = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);
for (const part of document.querySelectorAll("[data-webauthn]")) part.hidden = !able;
for (const part of document.querySelectorAll("[data-no-webauthn]")) part.hidden = able;

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", shown);
    input.focus();
  });
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const items = [...document.getElementById(button.dataset.copy).children];
    await navigator.clipboard.writeText(items.map((item) => item.textContent).join("\n"));
    say(button.dataset.copied);
  });
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

const ceremonies = {
  get: (options, more) =>
    navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...more }),
  create: (options, more) =>
    navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), ...more }),
};

// The browser runs one ceremony at a time: a new one ends the one that waits.
let waiting = null;

async function run(form, more) {
  waiting?.abort();
  const mine = waiting = new AbortController();
  const options = JSON.parse(form.dataset.options);
  const began = performance.now();
  try {
    const credential = await ceremonies[form.dataset.ceremony](options, { ...more, signal: mine.signal });
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
    return null;
  } catch (error) {
    // Browsers give one name to "cancelled" and to "waited too long", so that a page learns little.
    const late = performance.now() - began >= (options.timeout ?? Infinity);
    if (error.name === "AbortError") return null;
    if (error.name === "NotAllowedError") return late ? "timeout" : "cancelled";
    return error.name === "InvalidStateError" && form.dataset.ceremony === "create" ? "exists" : "failed";
  }
}

function say(text) {
  const status = document.getElementById("status");
  if (status) status.textContent = text;
}

function show(cause) {
  const note = document.getElementById("faults").content.querySelector(`[data-cause=webauthn_${cause}]`).cloneNode(true);
  note.id = "error";
  note.dataset.error = note.dataset.cause;
  document.getElementById("error")?.remove();
  document.querySelector(".body form").before(note);
}

// A passkey offered among the browser's suggestions for the user name; refusing it is no failure.
async function offer(form) {
  if (!document.querySelector("[autocomplete~=webauthn]")) return;
  if (await PublicKeyCredential.isConditionalMediationAvailable?.()) run(form, { mediation: "conditional" });
}

// A passkey that nobody knows here any more: its password manager may forget it.
const unknown = document.querySelector("[data-unknown]");
if (able && unknown) {
  const { rpId } = JSON.parse(unknown.dataset.options);
  PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId: unknown.dataset.unknown }).catch(() => {});
}

const form = able && document.querySelector("form[data-ceremony]");
if (form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    document.getElementById("error")?.remove();
    say(form.dataset.waiting);
    const cause = await run(form, {});
    if (!cause) return;
    say("");
    show(cause);
    offer(form);
  });
  offer(form);
}
