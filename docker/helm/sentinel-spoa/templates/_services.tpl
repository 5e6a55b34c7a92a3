{{/*
The services of the values, complete: each with the defaults (`serviceDefaults`), and with what its preset computes. JSON, a
list. A mistake fails here, with what to set.
*/}}
{{- define "sentinel-spoa.services" -}}
{{- if not .Values.services -}}
{{- fail "services is empty: say which masters there are. For example: --set services[0].preset=bitnami,services[0].release=NAME" -}}
{{- end -}}
{{- include "sentinel-spoa.checkShared" . -}}
{{- $all := list -}}
{{- range .Values.services -}}
{{- $service := mustMergeOverwrite (deepCopy $.Values.serviceDefaults) (deepCopy .) -}}
{{- include "sentinel-spoa.complete" (dict "root" $ "service" $service "entry" .) -}}
{{- $all = append $all $service -}}
{{- end -}}
{{- include "sentinel-spoa.checkAll" (dict "root" $ "services" $all) -}}
{{- toJson $all -}}
{{- end }}

{{/* Adds what is computed to .service: monitor, servers, sentinels, group. Prints nothing. */}}
{{- define "sentinel-spoa.complete" -}}
{{- $service := .service -}}
{{- $here := printf "services: '%s'" $service.name -}}
{{- include "sentinel-spoa.checkOne" (dict "here" $here "service" $service "entry" .entry) -}}
{{- if $service.preset -}}
{{- if not $service.release -}}
{{- fail (printf "%s has preset %s and no `release`: set the name of the release, as `helm list` shows it (for an operator: the name of its resource)" $here $service.preset) -}}
{{- end -}}
{{- if $service.servers -}}
{{- fail (printf "%s has a preset, which computes servers. Remove `servers`, or remove `preset`" $here) -}}
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
{{- $own := .entry.sentinels | default dict -}}
{{- if and (not $service.sentinels.addresses) (or $own.auth $own.tls $own.settings) -}}
{{- fail (printf "%s has sentinels.auth, tls or settings and no Sentinels of its own: set its sentinels.addresses, or move them to `sentinels` of all services" $here) -}}
{{- end -}}
{{- $_ := set $service "group" ($service.sentinels.addresses | empty | ternary "" $service.name) -}}
{{- end }}

{{/* Takes what a preset has computed into the service. Prints nothing. */}}
{{- define "sentinel-spoa.take" -}}
{{- $service := .service -}}
{{- $sentinels := $service.sentinels -}}
{{- $_ := set $service "servers" ($service.anyAddress | ternary list .made.servers) -}}
{{- $_ := set $sentinels "addresses" ($sentinels.addresses | default .made.sentinels) -}}
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
{{- if not (or $sentinels.auth.secret $sentinels.auth.none) -}}
{{- $_ := set $sentinels "auth" (merge (dict "secret" $service.auth.secret "key" $service.auth.key) $sentinels.auth) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* What is said of one service, and cannot work or does nothing. Prints nothing. */}}
{{- define "sentinel-spoa.checkOne" -}}
{{- $service := .service -}}
{{- $here := .here -}}
{{- if and $service.anyAddress $service.replicas.enabled -}}
{{- fail (printf "%s: anyAddress knows no replicas: set replicas.enabled: false" $here) -}}
{{- end -}}
{{- if gt (len $service.nodeAliases) (int $service.nodes) -}}
{{- fail (printf "%s has more nodeAliases than nodes (%d): set `nodes` to the number of pods, or remove aliases" $here (int $service.nodes)) -}}
{{- end -}}
{{- range $path, $auth := dict "auth" $service.auth "sentinels.auth" $service.sentinels.auth -}}
{{- if and $auth.none $auth.secret -}}
{{- fail (printf "%s has %s.none and %s.secret: remove one of them" $here $path $path) -}}
{{- end -}}
{{- end -}}
{{- range $path, $tls := dict "tls" $service.tls "sentinels.tls" $service.sentinels.tls -}}
{{- include "sentinel-spoa.checkTls" (dict "here" $here "path" $path "tls" $tls) -}}
{{- end -}}
{{- if not $service.preset -}}
{{- range $key := list "nodes" "nodeAliases" "fullname" "namespace" -}}
{{- if get $.entry $key -}}
{{- fail (printf "%s has `%s` and no `preset`, so it does nothing: remove it, or set `preset` and `release`" $here $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $sentinels := .entry.sentinels | default dict -}}
{{- if and (or $sentinels.release $sentinels.count) (or (not $service.preset) $service.sentinels.addresses) -}}
{{- fail (printf "%s has sentinels.release or sentinels.count, which do nothing without a preset that makes the Sentinels' list: remove them" $here) -}}
{{- end -}}
{{- if and $sentinels.release (ne $service.preset "ot") -}}
{{- fail (printf "%s has sentinels.release, which is for preset ot only: remove it" $here) -}}
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.checkTls" -}}
{{- if and .tls.clientCertificate (not .tls.secret) -}}
{{- fail (printf "%s: %s.clientCertificate without a certificate: set tls.secret" .here .path) -}}
{{- end -}}
{{- end }}

{{/* The Sentinels of all services. Prints nothing. */}}
{{- define "sentinel-spoa.checkShared" -}}
{{- $shared := .Values.sentinels -}}
{{- include "sentinel-spoa.checkTls" (dict "here" "sentinels" "path" "tls" "tls" $shared.tls) -}}
{{- if and (not $shared.addresses) (or $shared.auth.secret $shared.auth.username $shared.tls.enabled $shared.tls.secret $shared.settings) -}}
{{- fail "sentinels: auth, tls and settings are for sentinels.addresses, which is empty. Services with a preset or their own Sentinels do not take them: use serviceDefaults.sentinels" -}}
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
{{- if and $.root.Values.haproxy.enabled (gt (len $all) 1) (has .name (list "health" "sentinel_spoa")) -}}
{{- fail (printf "services: '%s' would name a section of HAProxy like one that the chart has itself. Give it another `name`, and set `monitor`" .name) -}}
{{- end -}}
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

{{/* The Secrets that the agent reads. Not that of HAProxy's clients: it has a private key. JSON, a list. */}}
{{- define "sentinel-spoa.agentSecrets" -}}
{{- $names := list .Values.sentinels.auth.secret .Values.sentinels.tls.secret -}}
{{- range include "sentinel-spoa.services" . | fromJsonArray -}}
{{- $names = concat $names (list .auth.secret .tls.secret) -}}
{{- if .group -}}{{- $names = concat $names (list .sentinels.auth.secret .sentinels.tls.secret) -}}{{- end -}}
{{- end -}}
{{- $names | uniq | compact | sortAlpha | toJson -}}
{{- end }}

{{/* The Secrets of the pod. JSON, a list. */}}
{{- define "sentinel-spoa.secrets" -}}
{{- $names := include "sentinel-spoa.agentSecrets" . | fromJsonArray -}}
{{- if .Values.haproxy.enabled -}}
{{- $names = concat $names (include "sentinel-spoa.haproxySecrets" . | fromJsonArray) -}}
{{- end -}}
{{- $names | uniq | sortAlpha | toJson -}}
{{- end }}
