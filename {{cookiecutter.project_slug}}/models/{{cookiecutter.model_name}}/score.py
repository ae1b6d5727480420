{{ of_framework("score.py") }}
