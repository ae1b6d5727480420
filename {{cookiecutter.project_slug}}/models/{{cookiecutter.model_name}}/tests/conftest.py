{{ of_framework("tests/conftest.py") }}
