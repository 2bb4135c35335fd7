FROM node:24-bookworm AS build
WORKDIR /build
# zstd-napi is compiled here when its ready-made binary cannot be fetched: this image has python3,
# make and g++, the final one has not.
COPY package.json package-lock.json ./
COPY scripts ./scripts
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY agent ./agent
COPY base ./base
COPY cli ./cli
COPY demo ./demo
COPY hub ./hub
COPY proto ./proto
RUN npm run build
# The image brings its own Node, so the packaged ones are left out with the other optional ones.
RUN npm prune --omit=dev --omit=optional --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /starferry
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
RUN ln -s /starferry/dist/cli/main.js /usr/local/bin/starferry \
 && install -d -o node -g node -m 0700 /data
USER node
# The default data_dir of both programs is relative to the working directory.
WORKDIR /data
VOLUME /data
# Agent, hub, the hub's status.
EXPOSE 9201 9202 9203
# HEALTH_URL is to be set where the health route is not on the agent's default address.
ENV HEALTH_URL=http://127.0.0.1:9201/-/healthy
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["starferry"]
CMD ["--help"]
