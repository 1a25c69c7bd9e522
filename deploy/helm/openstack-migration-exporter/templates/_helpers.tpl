{{- define "exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 letters: the StatefulSet's controller adds its revision to make a label of at most 63. */}}
{{- define "exporter.fullname" -}}
{{- $name := include "exporter.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.podLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Without the chart's version: another chart with the same exporter need not restart it. */}}
{{- define "exporter.podLabels" -}}
{{ include "exporter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: exporter
app.kubernetes.io/part-of: openstack-migration-exporter
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "exporter.serviceAccountName" -}}
{{- $own := ternary (include "exporter.fullname" .) "default" .Values.serviceAccount.create }}
{{- default $own .Values.serviceAccount.name }}
{{- end }}

{{- define "exporter.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The Secret with clouds.yaml; empty where credentials come as OS_* variables. */}}
{{- define "exporter.cloudsSecret" -}}
{{- if .Values.clouds.content }}
{{- printf "%s-clouds" (include "exporter.fullname" .) }}
{{- else }}
{{- .Values.clouds.existingSecret }}
{{- end }}
{{- end }}

{{/* How the pod asks itself for a page, by what the web configuration demands. */}}
{{- define "exporter.probe" -}}
{{- $web := .root.Values.web.config }}
{{- $scheme := ternary "https" "http" $web.tls }}
{{- if not (or $web.password $web.clientCertificate) }}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ upper $scheme }}
{{- else if $web.probeSecret }}
exec:
  command:
    - {{ .root.Values.probePython }}
    - -I
    - /etc/openstack-migration-exporter/probe.py
    - {{ .path }}
    - {{ $scheme }}
    - /etc/openstack-migration-exporter-probe
{{- else }}
tcpSocket:
  port: http
{{- end }}
{{ toYaml .timing }}
{{- end }}

{{/* A generated file, in which links lead to these two places until they are replaced. */}}
{{- define "exporter.linked" -}}
{{- $links := .root.Values.links }}
{{- $text := replace "https://runbooks.example.com/openstack-migration-exporter" (trimSuffix "/" $links.runbooks) .text }}
{{- replace "https://grafana.example.com/d" (trimSuffix "/" $links.dashboards) $text }}
{{- end }}

{{/* What the values schema cannot say: values that are right by themselves but do not fit each other. */}}
{{- define "exporter.contradictions" -}}
{{- $web := .Values.web.config }}
{{- if and (or $web.tls $web.password $web.clientCertificate $web.probeSecret) (not $web.existingSecret) }}
{{- fail "web.config.existingSecret is empty: tls, password, clientCertificate and probeSecret speak of the file in it" }}
{{- end }}
{{- if and $web.clientCertificate (not $web.tls) }}
{{- fail "web.config.clientCertificate is true, but web.config.tls is not: there is no client certificate without TLS" }}
{{- end }}
{{- if and $web.probeSecret (not (or $web.password $web.clientCertificate)) }}
{{- fail "web.config.probeSecret is for web.config.password or web.config.clientCertificate; set one of them to true" }}
{{- end }}
{{- if and $web.password .Values.serviceMonitor.enabled (not .Values.serviceMonitor.basicAuth) }}
{{- fail "web.config.password is true: say in serviceMonitor.basicAuth with which password Prometheus scrapes" }}
{{- end }}
{{- if and $web.tls .Values.serviceMonitor.enabled (not .Values.serviceMonitor.tlsConfig) }}
{{- fail "web.config.tls is true: say in serviceMonitor.tlsConfig how Prometheus verifies the exporter" }}
{{- end }}
{{- end }}
