"""The hosts that the rehearsal plays; each module of this folder adds its routes to one of them."""

from aml_rehearsal.addresses import API_HOST, ARM_HOST, LOGIN_HOST, REGISTRY_HOST
from aml_rehearsal.routing import Router
from aml_rehearsal.tokens import LEARNING, MANAGEMENT

arm = Router(MANAGEMENT)
login = Router()
api = Router(MANAGEMENT, LEARNING)
registries = Router()
ROUTERS = {ARM_HOST: arm, LOGIN_HOST: login, API_HOST: api, REGISTRY_HOST: registries}
