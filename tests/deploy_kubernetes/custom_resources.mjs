// Say what is wrong with resources of the Prometheus Operator: a JSON list on standard input, a JSON list of lists on output.
//
// The validators are made of the Operator's own definitions, but pass over keys that they do not know, as Kubernetes does, which
// drops them. Whatever no validator reads is such a key.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const models = `${process.argv[2]}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1`;
const { ServiceMonitor } = await import(pathToFileURL(`${models}/ServiceMonitor.js`));
const { PrometheusRule } = await import(pathToFileURL(`${models}/PrometheusRule.js`));
const kinds = { ServiceMonitor, PrometheusRule };

function watched(value, read, path = "") {
  if (typeof value !== "object" || value === null) return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return target[key];
      const at = Array.isArray(target) ? `${path}[${key}]` : `${path}.${key}`;
      read.add(at);
      return watched(target[key], read, at);
    },
  });
}

function* unread(value, read, path = "") {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`;
    if (read.has(at)) yield* unread(value[key], read, at);
    else yield `${at}: unknown key`;
  }
}

function faults(resource) {
  if (!Object.hasOwn(kinds, resource.kind)) return [`no validator for kind ${resource.kind}`];
  try {
    new kinds[resource.kind](resource).validate();
  } catch (error) {
    return [error.message];
  }
  const read = new Set();
  kinds[resource.kind].prototype.validate.call(watched(resource, read));
  return [...unread(resource, read)];
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(faults)));
