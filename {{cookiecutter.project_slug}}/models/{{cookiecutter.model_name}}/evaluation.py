{{ of_framework("evaluation.py") }}
