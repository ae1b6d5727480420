{{ of_framework("tests/test_score_batch.py") }}
