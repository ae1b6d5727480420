{{ of_framework("train.py") }}
