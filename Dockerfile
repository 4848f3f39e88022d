# CPU: docker build -t route-feedback:0.1.0 .
# GPU: docker build -t route-feedback:0.1.0-gpu --build-arg FLAVOUR=gpu --build-arg PYTHON=3.12 \
#        --build-arg TORCH_INDEX= --build-arg PACKAGES="libnuma1 gcc libc6-dev" .
# FLAVOUR=cpu-serve and gpu-serve leave out what only training and judging need: such an image serves, and runs no such job.
# (On a GPU kernels are compiled at the first start, which takes a C compiler.)
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG FLAVOUR=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_EXTRA_INDEX_URL=${TORCH_INDEX}
COPY locks/${FLAVOUR}.txt /src/lock.txt
RUN pip install --no-deps --require-hashes --requirement /src/lock.txt
COPY . /src
RUN pip install --no-deps --no-build-isolation /src

FROM python:${PYTHON}-slim-bookworm
ARG PACKAGES=libnuma1
# The packages' versions are the base image's release's.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} \
  && rm -rf /var/lib/apt/lists/* && useradd --uid 10001 --create-home route-feedback
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
ENTRYPOINT ["route-feedback"]
CMD ["serve", "--host", "0.0.0.0"]
