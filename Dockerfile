# syntax=docker/dockerfile:1
# The control worker. Debian, since the core of Temporal's SDK is a native addon that is built for glibc and not for musl (Alpine).
ARG NODE_TAG=24-bookworm-slim

FROM node:${NODE_TAG} AS build
WORKDIR /lifeboat
COPY package.json package-lock.json .npmrc ./
# No scripts: the image's own Node is the one that runs.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM node:${NODE_TAG}
ENV NODE_ENV=production
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /lifeboat
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY LICENSE ./
COPY bin bin
COPY --from=build /lifeboat/dist dist
RUN ln -s /lifeboat/bin/lifeboat.mjs /usr/local/bin/lifeboat \
  && install --directory --owner=1000 --group=1000 /data
# The user `node` of the image, by number: an orchestrator that forbids root can tell.
USER 1000:1000
ENV HOME=/data
WORKDIR /data
ENTRYPOINT ["lifeboat"]
CMD ["worker"]
