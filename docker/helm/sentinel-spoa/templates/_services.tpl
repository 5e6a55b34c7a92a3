{{/*
The services of the values, complete: each with the defaults (`serviceDefaults`), and with what its preset computes. JSON, a
list. A mistake fails here, with what to set.
*/}}
{{- define "sentinel-spoa.services" -}}
{{- if not .Values.services -}}
{{- fail "services is empty: say which masters there are. For example: --set services[0].preset=bitnami,services[0].release=NAME" -}}
{{- end -}}
{{- $all := list -}}
{{- range .Values.services -}}
{{- $service := mustMergeOverwrite (deepCopy $.Values.serviceDefaults) (deepCopy .) -}}
{{- include "sentinel-spoa.complete" (dict "root" $ "service" $service) -}}
{{- $all = append $all $service -}}
{{- end -}}
{{- include "sentinel-spoa.checkAll" (dict "root" $ "services" $all) -}}
{{- toJson $all -}}
{{- end }}

{{/* Adds what is computed to .service: monitor, servers, sentinels, group. Prints nothing. */}}
{{- define "sentinel-spoa.complete" -}}
{{- $service := .service -}}
{{- $here := printf "services: '%s'" $service.name -}}
{{- if $service.preset -}}
{{- if not $service.release -}}
{{- fail (printf "%s has preset %s and no `release`: set the name of the release, as `helm list` shows it (for an operator: the name of its resource)" $here $service.preset) -}}
{{- end -}}
{{- if or $service.servers $service.sentinels.addresses -}}
{{- fail (printf "%s has a preset, which computes servers and Sentinels. Remove `servers` and `sentinels.addresses`, or remove `preset`" $here) -}}
{{- end -}}
{{- $made := include (printf "sentinel-spoa.preset.%s" $service.preset) . | fromYaml -}}
{{- if hasKey $made "Error" -}}
{{- fail (printf "%s: preset %s: %s" $here $service.preset $made.Error) -}}
{{- end -}}
{{- include "sentinel-spoa.take" (dict "root" .root "service" $service "made" $made) -}}
{{- else if $service.release -}}
{{- fail (printf "%s has a `release` and no `preset`: set the chart or operator that made it" $here) -}}
{{- end -}}
{{- if and $service.anyAddress $service.servers -}}
{{- fail (printf "%s has anyAddress and a list of servers: only one of them can say where the nodes are" $here) -}}
{{- end -}}
{{- if not (or $service.servers $service.anyAddress) -}}
{{- fail (printf "%s has no nodes: set `servers` (each with a name and an address), or `preset` and `release`" $here) -}}
{{- end -}}
{{- if not (or $service.sentinels.addresses .root.Values.sentinels.addresses) -}}
{{- fail (printf "%s has no Sentinels: set sentinels.addresses, of the service or for all services" $here) -}}
{{- end -}}
{{- $_ := set $service "group" ($service.sentinels.addresses | empty | ternary "" $service.name) -}}
{{- end }}

{{/* Takes what a preset has computed into the service. Prints nothing. */}}
{{- define "sentinel-spoa.take" -}}
{{- $service := .service -}}
{{- $sentinels := $service.sentinels -}}
{{- $_ := set $service "servers" ($service.anyAddress | ternary list .made.servers) -}}
{{- $_ := set $sentinels "addresses" .made.sentinels -}}
{{- $_ := set $sentinels "settings" (merge $sentinels.settings (.made.settings | default dict)) -}}
{{- $_ := set $service "monitor" ($service.monitor | default .made.monitor) -}}
{{- if and $service.tls.enabled (not $sentinels.tls.enabled) -}}
{{- $_ := set $sentinels "tls" $service.tls -}}
{{- end -}}
{{- if and .made.secret (not $service.auth.none) -}}
{{- if not $service.auth.secret -}}
{{- if ne (include "sentinel-spoa.preset.namespace" .) .root.Release.Namespace -}}
{{- fail (printf "services: '%s' is in another namespace, so its Secret %s cannot be mounted here. Copy it and set auth.secret and auth.key, or set auth.none: true where there is no password" $service.name .made.secret.secret) -}}
{{- end -}}
{{- $_ := set $service "auth" (merge (dict "secret" .made.secret.secret "key" .made.secret.key) $service.auth) -}}
{{- end -}}
{{- if not $sentinels.auth.secret -}}
{{- $_ := set $sentinels "auth" (merge (dict "secret" $service.auth.secret "key" $service.auth.key) $sentinels.auth) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What must not be there twice: names, ports. Prints nothing. */}}
{{- define "sentinel-spoa.checkAll" -}}
{{- $taken := dict "8404" "HAProxy's page" "9912" "the agent's page" -}}
{{- $names := dict -}}
{{- $all := list -}}
{{- range .services -}}{{- $all = append $all .name -}}{{- end -}}
{{- range $service := .services -}}
{{- if hasKey $names .name -}}
{{- fail (printf "services: the name '%s' is there twice. Two masters that the Sentinels call by one name: give each its own `name`, and set `monitor`" .name) -}}
{{- end -}}
{{- $_ := set $names .name "" -}}
{{- if and .replicas.enabled (has (printf "%s_read" .name) $all) -}}
{{- fail (printf "services: '%s' with replicas and '%s_read' name two backends of HAProxy alike. Give one another name" .name .name) -}}
{{- end -}}
{{- $ports := list .port -}}
{{- if .replicas.enabled -}}{{- $ports = append $ports .replicas.port -}}{{- end -}}
{{- range $port := $ports -}}
{{- $key := $port | int | toString -}}
{{- if and $.root.Values.haproxy.enabled (hasKey $taken $key) -}}
{{- fail (printf "services: port %s has two users in the pod: '%s' and '%s'. Give each its own `port` and `replicas.port`" $key (get $taken $key) $service.name) -}}
{{- end -}}
{{- $_ := set $taken $key $service.name -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secrets with passwords or certificates that the pods mount, by name. JSON, a list. */}}
{{- define "sentinel-spoa.secrets" -}}
{{- $names := list .Values.sentinels.auth.secret .Values.sentinels.tls.secret -}}
{{- range include "sentinel-spoa.services" . | fromJsonArray -}}
{{- $names = concat $names (list .auth.secret .tls.secret .sentinels.auth.secret .sentinels.tls.secret) -}}
{{- end -}}
{{- if .Values.haproxy.enabled -}}
{{- $names = append $names .Values.haproxy.tls.secret -}}
{{- end -}}
{{- $names | uniq | compact | sortAlpha | toJson -}}
{{- end }}
