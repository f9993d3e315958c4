"use strict";

// The page may stand below a prefix: addresses are relative to it.
const description = new URL("openapi.json", document.baseURI).href;

window.SwaggerUIBundle({
  url: description,
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
