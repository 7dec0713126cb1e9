// What a merchant's page needs of Stripe.js for embedded Checkout, and nothing more.
(() => {
  const base = new URL(document.currentScript.src).origin;

  async function embed({ clientSecret, fetchClientSecret, onComplete }) {
    const secret = clientSecret || (await fetchClientSecret());
    const frame = document.createElement("iframe");
    frame.src = `${base}/c/embed/${secret}`;
    frame.title = "Checkout";
    frame.style = "width:100%; height:60rem; border:0";
    function listen(message) {
      if (message.origin !== base || message.source !== frame.contentWindow) return;
      if (message.data.url) location.assign(message.data.url);
      else if (onComplete) onComplete();
    }
    window.addEventListener("message", listen);
    return {
      mount(target) {
        (typeof target === "string" ? document.querySelector(target) : target).append(frame);
      },
      unmount() {
        frame.remove();
      },
      destroy() {
        frame.remove();
        window.removeEventListener("message", listen);
      },
    };
  }

  window.Stripe = (publishableKey) => {
    if (!/^pk_test_/.test(publishableKey)) throw new Error("Stripe: a test key, pk_test_…, is needed");
    // The second is what newer versions of Stripe.js call it.
    return { initEmbeddedCheckout: embed, createEmbeddedCheckoutPage: embed };
  };
})();
