// What the owner's pages do beside what they say. Nobody waits for any of it, and what fails is left.
const passkeys = window.PublicKeyCredential;
const leave = () => {};

// Password managers forget passkeys that are gone, and call the account what it is called now.
const told = document.querySelector("[data-passkeys]");
if (passkeys && told) {
  const { rpId, userId, name, displayName, allAcceptedCredentialIds } = JSON.parse(told.dataset.passkeys);
  passkeys.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds }).catch(leave);
  passkeys.signalCurrentUserDetails?.({ rpId, userId, name, displayName }).catch(leave);
}

// A password manager that has just filled in the password may make a passkey in its place.
const post = (url, fields) => fetch(url, { method: "POST", body: new URLSearchParams(fields) });

async function upgrade(url) {
  const able = await passkeys?.getClientCapabilities?.();
  if (!able?.conditionalCreate) return;
  const begun = await post(`${url}/options`, {});
  if (begun.status !== 200) return;
  const publicKey = passkeys.parseCreationOptionsFromJSON(await begun.json());
  const credential = await navigator.credentials.create({ publicKey, mediation: "conditional" });
  await post(url, { credential: JSON.stringify(credential) });
}

const begins = document.querySelector("[data-passkey-upgrade]");
if (begins) upgrade(begins.dataset.passkeyUpgrade).catch(leave);
