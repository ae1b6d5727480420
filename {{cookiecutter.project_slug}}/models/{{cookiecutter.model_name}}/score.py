{% include "frameworks/" ~ cookiecutter.framework ~ "/score.py" %}
