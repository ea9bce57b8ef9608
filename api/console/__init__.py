"""The web console at ``/console``: pages made on the server, without scripts.

A screen is three things:

1. a module with ``router = console_router()`` (:mod:`api.console.frame`), whose routes take a viewer by scope, such as
   ``viewer: Analyst`` (:mod:`api.console.access`), and return ``page(viewer, "NAME.html", ...)``; routes that change
   something are POST routes, read ``viewer.form`` and return ``redirected(viewer.request, "/console/...")``;
2. a template ``templates/NAME.html`` that extends ``frame.html``; each form holds ``{{ csrf() }}``, each table is
   made by the macro of ``table.html``;
3. its texts in a file of ``texts/``, in English and Chinese, as ``{{ t("key") }}``.

The router is added to ``ROUTERS`` (:mod:`api.console.routes`), a link to ``SCREENS`` (:mod:`api.console.frame`).
Reads and writes go through the functions that the routes of the API use, with the same entries in the audit log.
"""
