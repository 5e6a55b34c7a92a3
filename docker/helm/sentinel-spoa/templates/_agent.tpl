{{/* The agent's file. spoa/doc/configuration.md has all keys. */}}
{{- define "sentinel-spoa.agentFile" -}}
{{- $services := include "sentinel-spoa.services" . | fromJsonArray -}}
{{- $any := include "sentinel-spoa.any" . -}}
[agent]
{{- if .Values.haproxy.enabled }}
listen = unix:/run/sentinel-spoa/spop.sock mode=660
{{- else }}
listen = {{ $any }}:9012
check = {{ $any }}:9013
{{- end }}
http = {{ $any }}:9912
autoreload = yes
{{- range .Values.agent.allow }}
allow = {{ . }}
{{- end }}
{{- include "sentinel-spoa.settings" .Values.agent.settings }}
{{- if .Values.haproxy.enabled }}

[haproxy]
; HAProxy's master process: by way of it the agent also reaches processes that a reload has replaced.
runtime-api = master:/run/sentinel-spoa/master.sock
{{- range $services }}
{{- if eq (len $services) 1 }}
backend = {{ include "sentinel-spoa.section" (dict "services" $services "service" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.sentinels.addresses }}

[sentinels]
{{- include "sentinel-spoa.group" .Values.sentinels }}
{{- end }}
{{- range $services }}
{{- if .group }}

[sentinels {{ .group }}]
{{- include "sentinel-spoa.group" .sentinels }}
{{- end }}

[service {{ .name }}]
{{- include "sentinel-spoa.serviceLines" (dict "root" $ "service" . "services" $services) }}
{{- end }}
{{ end }}

{{- define "sentinel-spoa.serviceLines" -}}
{{- $service := .service -}}
{{- if and $service.monitor (ne $service.monitor $service.name) }}
monitor = {{ $service.monitor }}
{{- end }}
{{- with $service.group }}
sentinels = {{ . }}
{{- end }}
{{- if and .root.Values.haproxy.enabled (gt (len .services) 1) }}
backend = {{ include "sentinel-spoa.section" (dict "services" .services "service" .service) }}
{{- end }}
{{- if $service.anyAddress }}
allow-any-address = yes
{{- else }}
; As the Sentinels say them.
{{- end }}
{{- range $service.servers }}
server = {{ .name }} {{ .address }}{{ range .aliases }} alias={{ . }}{{ end }}{{ if hasKey . "weight" }} weight={{ .weight }}{{ end }}
{{- end }}
{{- include "sentinel-spoa.credentials" $service }}
park = {{ include "sentinel-spoa.plain" $service.park }}
{{- if $service.replicas.enabled }}
replicas = yes
{{- with $service.replicas.maxLag }}
max-lag = {{ . }}
{{- end }}
replica-fallback = {{ $service.replicas.fallback }}
{{- end }}
{{- if not .root.Values.haproxy.enabled }}
{{- $settings := $service.settings }}
{{- if not (hasKey $settings "check-pulse") }}
check-pulse = 1s
{{- end }}
{{- if not (hasKey $settings "check-delay") }}
; Longer than HAProxy's timeout connect, for HAProxy 2.8 to 3.1.
check-delay = 300ms
{{- end }}
{{- if not (hasKey $settings "gone-clients") }}
; An agent in another pod than HAProxy does not see whether a waiting client is still there: what a client had sent before
; it gave up may be executed later. Keep `park` below your clients' reply time limit.
gone-clients = serve
{{- end }}
{{- end }}
{{- include "sentinel-spoa.settings" $service.settings }}
{{- end }}

{{- define "sentinel-spoa.group" }}
{{- range .addresses }}
address = {{ . }}
{{- end }}
{{- include "sentinel-spoa.credentials" . }}
{{- include "sentinel-spoa.settings" .settings }}
{{- end }}

{{/* Password and TLS, of Sentinels or of nodes. */}}
{{- define "sentinel-spoa.credentials" }}
{{- with .auth.username }}
username = {{ . }}
{{- end }}
{{- if .auth.secret }}
password-file = {{ include "sentinel-spoa.secretPath" .auth }}
{{- end }}
{{- if .tls.enabled }}
tls = yes
{{- if .tls.secret }}
{{- with .tls.ca }}
tls-ca = {{ include "sentinel-spoa.secretPath" (dict "secret" $.tls.secret "key" .) }}
{{- end }}
{{- if .tls.clientCertificate }}
tls-cert = {{ include "sentinel-spoa.secretPath" (dict "secret" .tls.secret "key" .tls.cert) }}
tls-key = {{ include "sentinel-spoa.secretPath" (dict "secret" .tls.secret "key" .tls.key) }}
{{- end }}
{{- end }}
{{- with .tls.serverName }}
tls-server-name = {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Further keys, as they are. */}}
{{- define "sentinel-spoa.settings" }}
{{- range $key, $value := . }}
{{ $key }} = {{ include "sentinel-spoa.plain" $value }}
{{- end }}
{{- end }}
