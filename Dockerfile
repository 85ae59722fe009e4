# Parley's image: all four processes of a node; which one runs is the command.
# No BuildKit syntax here, so that engines with the classic builder build it too.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
# A pip of its own, so that none is left in the image.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
# A compiler and Python's headers for the compiled core, in this stage alone; where none can be had, the image goes
# without the core.
COPY deploy/core-tools.sh deploy/working.sh /opt/
RUN sh /opt/core-tools.sh /opt/venv/bin/python
# The dependencies, each file of which must have a hash that stands in the lock (deploy/lock.sh), and /app as an editable
# installation before its sources are there: a change of source installs nothing again. (pyproject.toml names the two
# empty files.)
WORKDIR /app
COPY pyproject.toml deploy/locks/build.txt deploy/locks/runtime.txt ./
RUN touch README.md LICENSE && \
    /opt/pip/bin/pip --disable-pip-version-check install --no-cache-dir --no-compile \
        --require-hashes --requirement build.txt && \
    /opt/pip/bin/pip --python /opt/venv/bin/python --disable-pip-version-check install --no-cache-dir --no-compile \
        --require-hashes --requirement runtime.txt && \
    PYTHONPATH="$(echo /opt/pip/lib/python3*/site-packages)" \
        /opt/pip/bin/pip --python /opt/venv/bin/python --disable-pip-version-check install --no-cache-dir --no-compile \
        --no-deps --no-build-isolation --config-settings editable_mode=compat --editable . && \
    /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib
# The compiled core, in a layer of its own: a change of Python source builds it no second time.
COPY shared/core shared/core
RUN mkdir -p /opt/core parley && ln -s ../shared parley/shared && \
    /opt/pip/bin/python -c 'import setuptools; setuptools.setup()' --quiet build_ext --inplace && \
    find shared -maxdepth 1 -name '_core*.so' -exec cp {} /opt/core/ \; && \
    test -n "$(ls /opt/core)" || echo "This image goes without the compiled core."

FROM ${BASE_IMAGE}
# With a read-only root file system nothing is compiled later, and slim images come without the standard
# library's bytecode.
RUN python3 -m compileall -q -j 0 -x '/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" && \
    groupadd --gid 10001 parley && \
    useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin parley && \
    install -d -o parley -g parley -m 750 /data
COPY --from=builder /opt/venv /opt/venv
WORKDIR /app
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PARLEY_DATA_DIR=/data \
    PARLEY_CLIENT__DATA_DIR=/data/.people \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 9999/udp 9998 6666 7777 7778/udp 8888 8889/udp 9401 9402 9403 9404
STOPSIGNAL SIGTERM
CMD ["parley", "serve"]
COPY --from=builder /opt/core/ /app/shared/
# Last, what changes most: nothing above is done again for it.
COPY . .
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .
USER 10001:10001
