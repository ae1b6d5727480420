"""The hosts that the rehearsal plays; each module of this folder adds its routes to one of them."""

from aml_rehearsal.routing import Router

arm = Router()
login = Router()
api = Router()
