{{ of_framework("tests/test_score.py") }}
