{{ of_framework("tests/test_train.py") }}
