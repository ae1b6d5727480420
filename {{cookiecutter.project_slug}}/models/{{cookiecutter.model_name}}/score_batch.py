{{ of_framework("score_batch.py") }}
