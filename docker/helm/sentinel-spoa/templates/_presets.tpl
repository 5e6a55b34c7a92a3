{{/*
What charts and operators make of a release's name. Each preset gets (dict "root" $ "service" $service) and prints YAML:
    monitor    what the Sentinels call the master
    servers    the nodes, by the names that the Sentinels say
    sentinels  the Sentinels' addresses
    secret     {secret, key} of the password, where that chart makes one by default; it is the Sentinels', too
    settings   keys of [sentinels NAME] that its own times need
    Error      why it cannot work, in place of all this
docker/README.md has the versions that were looked at.
*/}}

{{- define "sentinel-spoa.preset.bitnami" -}}
{{- include "sentinel-spoa.preset.statefulSet" (dict "root" .root "service" .service "chart" "redis" "suffix" "-node" "key" "redis-password") -}}
{{- end }}

{{- define "sentinel-spoa.preset.bitnami-valkey" -}}
{{- include "sentinel-spoa.preset.statefulSet" (dict "root" .root "service" .service "chart" "valkey" "suffix" "-node" "monitor" "myprimary" "key" "valkey-password") -}}
{{- end }}

{{/* Its TLS port is another one, and its Sentinels are fast: votes must not live longer than their down-after, 1.5 s. */}}
{{- define "sentinel-spoa.preset.cloudpirates" -}}
{{- $port := .service.tls.enabled | ternary 6380 6379 -}}
{{- include "sentinel-spoa.preset.statefulSet" (dict "root" .root "service" .service "chart" "redis" "port" $port "key" "redis-password") }}
{{ include "sentinel-spoa.preset.cloudpiratesTimes" . }}
{{- end }}

{{/* Replicas say the short name of their first master. */}}
{{- define "sentinel-spoa.preset.cloudpirates-valkey" -}}
{{- if .service.tls.enabled -}}
Error: "with TLS that chart's Sentinels speak without TLS to a port that has it. Remove tls.enabled there and here"
{{- else -}}
{{- include "sentinel-spoa.preset.statefulSet" (dict "root" .root "service" .service "chart" "valkey" "shortAlias" true "key" "password") }}
{{ include "sentinel-spoa.preset.cloudpiratesTimes" . }}
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.preset.cloudpiratesTimes" -}}
settings: {poll: 500ms, reply-timeout: 400ms, vote-life: 1200ms}
{{- end }}

{{- define "sentinel-spoa.preset.valkey" -}}
{{- include "sentinel-spoa.preset.statefulSet" (dict "root" .root "service" .service "chart" "valkey") -}}
{{- end }}

{{/* A StatefulSet, a headless Service, a Sentinel in each pod, whole names announced. */}}
{{- define "sentinel-spoa.preset.statefulSet" -}}
{{- $fullname := include "sentinel-spoa.preset.fullname" . -}}
{{- $port := .port | default 6379 -}}
{{- include "sentinel-spoa.preset.sentinelPerNode" . -}}
monitor: {{ .monitor | default "mymaster" }}
servers:
{{- range $i := until (int .service.nodes) }}
{{- $pod := printf "%s%s-%d.%s-headless" $fullname ($.suffix | default "") $i $fullname }}
  - name: R{{ $i }}
    address: {{ $pod }}.{{ include "sentinel-spoa.preset.domain" $ }}:{{ $port }}
    aliases: {{ concat (empty $.shortAlias | ternary list (list (printf "%s:%d" $pod (int $port)))) (include "sentinel-spoa.preset.aliases" (dict "service" $.service "index" $i) | fromJsonArray) | toJson }}
{{- end }}
sentinels:
{{- range $i := until (int .service.nodes) }}
  - {{ printf "%s%s-%d.%s-headless" $fullname ($.suffix | default "") $i $fullname }}.{{ include "sentinel-spoa.preset.domain" $ }}:26379
{{- end }}
{{- with .key }}
secret: {secret: {{ $fullname }}, key: {{ . }}}
{{- end }}
{{- end }}

{{/*
A Service for each pod. Its cluster IP is announced, unless sentinel.resolveHostnames and announceHostnames are true there.
Where Helm may ask the cluster it finds the cluster IPs. No test does that.
*/}}
{{- define "sentinel-spoa.preset.dandydeveloper" -}}
{{- $fullname := include "sentinel-spoa.preset.fullname" (merge (dict "chart" "redis-ha") .) -}}
{{- include "sentinel-spoa.preset.sentinelPerNode" . -}}
monitor: mymaster
servers:
{{- range $i := until (int .service.nodes) }}
{{- $name := printf "%s-announce-%d" $fullname $i }}
{{- $aliases := list (printf "%s.%s.svc:6379" $name (include "sentinel-spoa.preset.namespace" $)) }}
{{- $found := lookup "v1" "Service" (include "sentinel-spoa.preset.namespace" $) $name }}
{{- with dig "spec" "clusterIP" "None" $found | replace "None" "" }}
{{- $aliases = append $aliases (printf (contains ":" . | ternary "[%s]:6379" "%s:6379") .) }}
{{- end }}
  - name: R{{ $i }}
    address: {{ $name }}.{{ include "sentinel-spoa.preset.domain" $ }}:6379
    aliases: {{ concat $aliases (include "sentinel-spoa.preset.aliases" (dict "service" $.service "index" $i) | fromJsonArray) | uniq | toJson }}
{{- end }}
sentinels:
{{- range $i := until (int .service.nodes) }}
  - {{ $fullname }}-announce-{{ $i }}.{{ include "sentinel-spoa.preset.domain" $ }}:26379
{{- end }}
{{- end }}

{{/* A RedisSentinel of its own (sentinels.release), or the one in the RedisReplication. Nodes are known by pod addresses. */}}
{{- define "sentinel-spoa.preset.ot" -}}
{{- $own := .service.sentinels.release -}}
{{- $set := empty $own | ternary (printf "%s-s" .service.release) (printf "%s-sentinel" $own) -}}
{{- $headless := empty $own | ternary (printf "%s-hl" $set) (printf "%s-headless" $set) -}}
{{- if not .service.anyAddress -}}
Error: "that operator announces pods' addresses, which change, so no list of servers can hold. Set anyAddress: true, and read README.md (Addresses of pods) for what it costs"
{{- else -}}
monitor: {{ empty $own | ternary "mymaster" "myMaster" }}
servers: []
sentinels:
{{- range $i := until (int (.service.sentinels.count | default .service.nodes)) }}
  - {{ $set }}-{{ $i }}.{{ $headless }}.{{ include "sentinel-spoa.preset.domain" $ }}:26379
{{- end }}
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.preset.spotahome" -}}
Error: "that operator runs its Sentinels behind one address and announces pods' addresses: there is nothing stable to list. Use its Service rfrm-{{ .service.release }}, or another chart"
{{- end }}

{{/* As Helm's charts do it: the release's name, with the chart's in it. `fullname` where the release has its own. */}}
{{- define "sentinel-spoa.preset.fullname" -}}
{{- $release := regexReplaceAll "[^a-z0-9-]+" (lower .service.release) "-" | trimSuffix "-" -}}
{{- $name := contains .chart $release | ternary $release (printf "%s-%s" $release .chart) -}}
{{- .service.fullname | default ($name | trunc 63 | trimSuffix "-") -}}
{{- end }}

{{- define "sentinel-spoa.preset.namespace" -}}
{{- .service.namespace | default .root.Release.Namespace -}}
{{- end }}

{{- define "sentinel-spoa.preset.domain" -}}
{{ include "sentinel-spoa.preset.namespace" . }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{/* Further addresses of node .index, from the values. JSON, a list. */}}
{{- define "sentinel-spoa.preset.aliases" -}}
{{- if gt (len .service.nodeAliases) .index -}}
{{- index .service.nodeAliases .index | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{- define "sentinel-spoa.preset.sentinelPerNode" -}}
{{- if and .service.sentinels.count (ne (int .service.sentinels.count) (int .service.nodes)) -}}
Error: "there is a Sentinel in each pod: set `nodes` to the number of pods, and leave sentinels.count"
{{ end -}}
{{- end }}
