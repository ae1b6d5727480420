"""`python -m aml_project VERB`, which is `aml VERB`."""

import sys

from aml_project.cli import main

sys.exit(main())
