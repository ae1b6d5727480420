{% include "frameworks/" ~ cookiecutter.framework ~ "/train.py" %}
