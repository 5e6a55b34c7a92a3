{{/* Names, labels, durations. */}}

{{- define "sentinel-spoa.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "sentinel-spoa.fullname" -}}
{{- $name := include "sentinel-spoa.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What selects the pods. */}}
{{- define "sentinel-spoa.selector" -}}
app.kubernetes.io/name: {{ include "sentinel-spoa.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sentinel-spoa.labels" -}}
{{ include "sentinel-spoa.selector" . }}
app.kubernetes.io/part-of: sentinel-spoa
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The name of the Service for clients of a service: (dict "root" $ "service" $service). */}}
{{- define "sentinel-spoa.serviceName" -}}
{{- .service.clients.name | default (printf "%s-%s" (include "sentinel-spoa.fullname" .root) (include "sentinel-spoa.dnsLabel" .service.name)) -}}
{{- end }}

{{- define "sentinel-spoa.replicaServiceName" -}}
{{- .service.replicas.clients.name | default (printf "%s-replicas" (include "sentinel-spoa.serviceName" .)) -}}
{{- end }}

{{- define "sentinel-spoa.dnsLabel" -}}
{{- . | lower | replace "_" "-" | replace "." "-" | replace ":" "-" | trimAll "-" -}}
{{- end }}

{{/* A value as the agent's file and HAProxy's have it: no 1e+06, and yes for true. */}}
{{- define "sentinel-spoa.plain" -}}
{{- if kindIs "bool" . -}}
{{ . | ternary "yes" "no" }}
{{- else if kindIs "float64" . -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{/* A duration of the agent or of HAProxy in milliseconds. */}}
{{- define "sentinel-spoa.milliseconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- $unit := regexFind "[a-z]*$" $text -}}
{{- mul $number (get (dict "" 1 "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) -}}
{{- end }}

{{/* The longest time that a client waits for a master, in milliseconds. The agent's `auto` is 8 s at most. */}}
{{- define "sentinel-spoa.longestPark" -}}
{{- $longest := 0 -}}
{{- range .Values.services -}}
{{- $park := hasKey . "park" | ternary .park $.Values.serviceDefaults.park | include "sentinel-spoa.plain" -}}
{{- $longest = max $longest (eq $park "auto" | ternary "8s" $park | include "sentinel-spoa.milliseconds" | int64) -}}
{{- end -}}
{{- $longest -}}
{{- end }}

{{/* `timeout processing` of spoe.conf in milliseconds. */}}
{{- define "sentinel-spoa.processing" -}}
{{- $park := include "sentinel-spoa.longestPark" . | int64 -}}
{{- $own := .Values.haproxy.timeouts.processing -}}
{{- $processing := $own | empty | ternary (add (mul (div $park 1000) 1000) 2000) (include "sentinel-spoa.milliseconds" $own | int64) -}}
{{- if le $processing $park -}}
{{- fail (printf "haproxy.timeouts.processing (%s) is not longer than the longest `park` (%d ms): HAProxy would refuse clients that still wait. Make it longer, or leave it empty" $own $park) -}}
{{- end -}}
{{- $processing -}}
{{- end }}

{{/*
What readiness is asked of: a pod of one service is ready when that has a master. With several services one that has none
must not take the others out of their Services.
*/}}
{{- define "sentinel-spoa.readyPath" -}}
{{- gt (len .Values.services) 1 | ternary "/healthz" "/readyz" -}}
{{- end }}

{{/* How often the readiness probe (every 5 s) may fail: for longer than clients wait. */}}
{{- define "sentinel-spoa.readyFailures" -}}
{{- max 6 (add 2 (div (include "sentinel-spoa.processing" . | int64) 5000)) -}}
{{- end }}

{{/* preStop, hard-stop-after, and some room; in seconds. */}}
{{- define "sentinel-spoa.gracePeriod" -}}
{{- add 10 (div (include "sentinel-spoa.milliseconds" .Values.haproxy.timeouts.hardStop | int64) 1000) -}}
{{- end }}

{{- define "sentinel-spoa.image" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end }}

{{/* `ipFamilies` of a Service. */}}
{{- define "sentinel-spoa.families" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end }}

{{/* The address where the agent listens: "sentinel-spoa.any" $ gives [::] or 0.0.0.0. */}}
{{- define "sentinel-spoa.any" -}}
{{- eq .Values.bind "ipv4" | ternary "0.0.0.0" "[::]" -}}
{{- end }}

{{/* What a `bind` line has: (dict "root" $ "port" 6379). */}}
{{- define "sentinel-spoa.bind" -}}
{{- $forms := dict "ipv4" "bind :%d" "ipv6" "bind :::%d v6only" "both" "bind :::%d v4v6" -}}
{{- printf (get $forms .root.Values.bind) (int .port) -}}
{{- end }}

{{/* Where a key of a Secret is in the containers: (dict "secret" NAME "key" KEY). */}}
{{- define "sentinel-spoa.secretPath" -}}
/run/secrets/{{ .secret }}/{{ .key }}
{{- end }}
