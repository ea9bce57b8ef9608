// Addresses are relative to the page, so that it works behind a path prefix.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
