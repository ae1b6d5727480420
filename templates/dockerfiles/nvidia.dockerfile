{% set pytorch = cookiecutter.framework == "pytorch" %}
# NVIDIA's image brings {{ "PyTorch" if pytorch else "TensorFlow" }}, its own Python, CUDA and MPI, built for each other.
ARG NVIDIA_VERSION=24.12
FROM nvcr.io/nvidia/{{ cookiecutter.framework }}:${NVIDIA_VERSION}-{{ "py3" if pytorch else "tf2-py3" }} AS environment

# For InfiniBand: what programs need to reach the nodes' cards. MPI needs SSH, mounted data needs FUSE.
# Ubuntu keeps one version of each, so none is named. Your own system packages go here, too.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        fuse ibverbs-providers libibverbs1 librdmacm1 openssh-client openssh-server python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The packages: this stage is what `make environment ARGS=--dockerfile` has Azure ML build. What the image brings
# stays as it is; the other pip packages of the conda file are put beside it.
COPY aml_config/train-conda.yml /tmp/train-conda.yml
RUN sed -nE '1,/- pip:/d; /- ({{ "torch|torchvision" if pytorch else "tensorflow|keras" }}|numpy)\b/d; s/^ {4,}- //p' \
        /tmp/train-conda.yml > /tmp/requirements.txt \
    && python3 -m venv --system-site-packages /opt/model \
    && PIP_CONSTRAINT='' /opt/model/bin/pip install --no-cache-dir --requirement /tmp/requirements.txt
