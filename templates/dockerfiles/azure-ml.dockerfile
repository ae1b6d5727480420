ARG BASE_IMAGE={{ base_image() }}
FROM ${BASE_IMAGE} AS environment

# Your own system packages go here:
#   RUN apt-get update && apt-get install --yes --no-install-recommends NAME && rm -rf /var/lib/apt/lists/*

# The packages: this stage is what `make environment ARGS=--dockerfile` has Azure ML build.
COPY aml_config/train-conda.yml /tmp/train-conda.yml
RUN conda env create --prefix /opt/model --file /tmp/train-conda.yml \
    && conda clean --all --yes
