"""The verbs of aml, one a module; no verb imports another."""
